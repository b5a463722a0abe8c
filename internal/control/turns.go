package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// turns has one request at a time add to an upload, or commit it. A newer one ends the one
// before: mostly its client has lost that connection, and nobody else has noticed.
// The zero value is ready for use.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // by the upload's ID; guarded by mu
}

// A turn is one request that goes about an upload.
type turn struct {
	request *http.ResponseController
	over    chan struct{} // closed when it is over
}

// inTurn is a call about one upload, of which there is one at a time.
func (t *turns) inTurn(c route) route {
	serve := c.serve
	c.serve = func(w http.ResponseWriter, r *http.Request) {
		id, mine := r.PathValue("id"), &turn{http.NewResponseController(w), make(chan struct{})}
		if !t.take(r.Context(), id, mine) {
			return // nobody waits for an answer any more
		}
		defer t.end(id, mine)
		r.Body = body{r.Body}
		serve(w, r)
	}
	return c
}

// take ends the request before, and waits for that. It is false if ctx ends first.
func (t *turns) take(ctx context.Context, id string, mine *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for before := t.of[id]; before != nil; before = t.of[id] {
		_ = before.request.SetReadDeadline(time.Unix(1, 0)) // which ends its body, or its context
		t.mu.Unlock()
		select {
		case <-before.over:
		case <-ctx.Done():
		}
		t.mu.Lock()
		if ctx.Err() != nil {
			return false
		}
	}
	if t.of == nil {
		t.of = make(map[string]*turn)
	}
	t.of[id] = mine
	return true
}

// end gives the turn to the next.
func (t *turns) end(id string, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, id)
	close(mine.over)
}

// A body is that of a request which a newer one may end.
type body struct{ io.ReadCloser }

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = Conflict("another request goes on with this upload")
	}
	return n, err
}
