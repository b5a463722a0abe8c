package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"time"
)

// heartbeat is after how long of silence a stream says that it is still there, so
// that nobody on the way takes its connection for dead.
const heartbeat = 15 * time.Second

// streamed is a call that is answered by events as they come (Server-Sent Events,
// WHATWG HTML section 9.2): each of what f returns, with its ID unless that is empty.
// What f returns must end when the request's context does; an error of f is one
// before the first event.
func streamed[E any](path string, scope Scope, does string, f func(*http.Request) (iter.Seq2[string, E], error), query ...parameter) route {
	return route{
		method: http.MethodGet, path: path, scope: scope, does: does, query: query, gives: reflect.TypeFor[E](), body: stream,
		serve: func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping(ctx), cancel)()
			events, err := f(r.WithContext(ctx))
			if err != nil {
				answer(w, nil, err)
				return
			}
			writeEvents(ctx, w, events)
		},
	}
}

// An event is one of a stream.
type event[E any] struct {
	id    string
	value E
}

// writeEvents writes events until there are no more, ctx ends, or the client has gone
// away.
func writeEvents[E any](ctx context.Context, w http.ResponseWriter, events iter.Seq2[string, E]) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	out, flusher := bufio.NewWriter(w), http.NewResponseController(w)
	flush := func() bool { return out.Flush() == nil && flusher.Flush() == nil }
	_, _ = fmt.Fprint(out, ": listening\n\n") // an error of a bufio.Writer stays till it is flushed
	if !flush() {
		return
	}
	quiet := time.NewTicker(heartbeat)
	defer quiet.Stop()
	ctx, cancel := context.WithCancel(ctx)
	next := inBackground(ctx, events)
	defer func() {
		cancel()
		for range next { // which ends with the events, and they with ctx
		}
	}()
	for {
		select {
		case e, more := <-next:
			if !more {
				return
			}
			writeEvent(out, e.id, e.value)
		case <-quiet.C:
			_, _ = fmt.Fprint(out, ":\n\n")
		}
		if len(next) == 0 && !flush() {
			return
		}
		quiet.Reset(heartbeat)
	}
}

// inBackground are the events by a channel, which is closed when there are no more.
func inBackground[E any](ctx context.Context, events iter.Seq2[string, E]) <-chan event[E] {
	next := make(chan event[E], 64)
	go func() {
		defer close(next)
		for id, e := range events {
			select {
			case next <- event[E]{id, e}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return next
}

// writeEvent writes one event. Its JSON has no line breaks.
func writeEvent(w *bufio.Writer, id string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err) // the API has no type that cannot be written
	}
	if id != "" {
		_, _ = fmt.Fprintf(w, "id: %s\n", id)
	}
	_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
}
