package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// serving is a client of a daemon that is h.
func serving(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &Client{http: s.Client(), base: s.URL, where: s.URL}
}

func TestStreamIsReadEventByEvent(t *testing.T) {
	t.Parallel()
	var after string
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		after = r.Header.Get("Last-Event-ID")
		_, _ = io.WriteString(w, ": listening\n\nid: 8\ndata: {\"a\":1}\n\n:\n\nretry: 5\ndata: {\"a\":\ndata: 2}\n\nid: 9\ndata: {\"a\":3")
	})
	s, err := c.stream(t.Context(), "/v1/numbers", "7")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, want := range []struct {
		id string
		a  int
	}{{"8", 1}, {"8", 2}} {
		var got struct{ A int }
		if err := s.next(&got); err != nil || got.A != want.a || s.last != want.id {
			t.Errorf("%+v with ID %q, %v; want %+v", got, s.last, err, want)
		}
	}
	if err := s.next(new(any)); !errors.Is(err, io.ErrUnexpectedEOF) || s.last != "8" {
		t.Errorf("half an event: %v, and the last ID is %q", err, s.last)
	}
	if after != "7" {
		t.Errorf("the daemon was asked for those after %q", after)
	}
}

func TestStreamEndsAndFails(t *testing.T) {
	t.Parallel()
	s, err := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, ": listening\n\n") }).stream(t.Context(), "/v1/numbers", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.next(nil); !errors.Is(err, io.EOF) {
		t.Errorf("a stream without events: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := serving(t, http.NotFound).stream(t.Context(), "/v1/numbers", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("a stream that is not there: %v", err)
	}
}
