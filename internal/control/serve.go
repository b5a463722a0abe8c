package control

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// readHeaderTimeout bounds how long a client may take to say what it wants.
const readHeaderTimeout = 5 * time.Second

// partingTime is how long requests may go on once Serve is to end. What it cuts is
// an upload, which goes on after the restart, or a client that has gone silent.
const partingTime = 5 * time.Second

// Serve answers on ln with h until ctx ends. It closes ln, ends streams, waits for the requests
// that are being answered, cuts those that take long, and returns nil when none is
// left. complaints gets a line of each client that breaks off, and of a handler that
// panics.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, complaints *log.Logger) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	counted := &counted{handler: h}
	srv := &http.Server{
		Handler: counted, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: complaints,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(requests, stoppingKey{}, ctx) }, ConnContext: withPeer,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		parting, cancel := context.WithTimeout(requests, partingTime)
		defer cancel()
		err := srv.Shutdown(parting)
		if errors.Is(err, context.DeadlineExceeded) {
			cut()
			err = srv.Close()
		}
		stopped <- err
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	err := <-stopped
	counted.end()
	return err
}

// counted is a handler that can be waited for, also after its connections are
// closed.
type counted struct {
	handler http.Handler
	running sync.WaitGroup

	mu    sync.Mutex // guards ended
	ended bool
}

// ServeHTTP implements http.Handler.
func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return // its connection is closed
	}
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	c.handler.ServeHTTP(w, r)
}

// end lets no request in any more, and returns when none is left.
func (c *counted) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.running.Wait()
}

// stoppingKey is where a request's context keeps the one that ends when Serve is to
// end: before the request's own, which has time to finish.
type stoppingKey struct{}

// stopping ends when the server is to end, or with the request.
func stopping(request context.Context) context.Context {
	if ctx, ok := request.Value(stoppingKey{}).(context.Context); ok {
		return ctx
	}
	return request
}
