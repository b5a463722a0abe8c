package control

import (
	"bufio"
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// counting gives numbers with a second between them, and none before the first.
func counting(ctx context.Context, n int) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := range n {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			if !yield("", i) {
				return
			}
		}
		<-ctx.Done()
	}
}

func streaming(f func(*http.Request) (iter.Seq2[string, int], error)) http.Handler {
	return (&API{[]route{streamed("/v1/numbers", ScopeRead, "Numbers.", f)}}).Local()
}

func TestStreamEndsWithItsServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := streaming(func(r *http.Request) (iter.Seq2[string, int], error) { return counting(r.Context(), 2), nil })
		ln := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, ln, h, nil) }()
		c := ln.dial()
		defer func() { _ = c.Close() }()
		go func() { _, _ = c.Write([]byte("GET /v1/numbers HTTP/1.0\r\n\r\n")) }()
		lines, got := bufio.NewScanner(c), []string{}
		for lines.Scan() {
			got = append(got, lines.Text())
			if lines.Text() == "data: 1" {
				break
			}
		}
		if text := strings.Join(got, "\n"); !strings.HasPrefix(text, "HTTP/1.0 200 ") || !strings.HasSuffix(text, ": listening\n\ndata: 0\n\ndata: 1") {
			t.Errorf("the stream is\n%s", text)
		}
		go func() {
			for lines.Scan() {
			}
		}()
		began := time.Now()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if time.Since(began) >= partingTime {
			t.Error("the server waited for a stream that has no end")
		}
	})
}

func TestSilentStreamHasAHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), heartbeat*5/2)
		defer cancel()
		h := streaming(func(r *http.Request) (iter.Seq2[string, int], error) { return counting(r.Context(), 0), nil })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/numbers", http.NoBody))
		if got, want := w.Body.String(), ": listening\n\n:\n\n:\n\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestStreamThatCannotBeginIsAProblem(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	streaming(func(*http.Request) (iter.Seq2[string, int], error) { return nil, Invalid("no such numbers") }).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/numbers", http.NoBody))
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "no such numbers") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
