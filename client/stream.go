package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxEvent bounds one line of a stream, in bytes.
const maxEvent = 1 << 20

// An eventStream is an answer that comes in events, as they happen (Server-Sent
// Events, WHATWG HTML section 9.2). It is for one goroutine.
type eventStream struct {
	body  io.ReadCloser
	lines *bufio.Scanner
	last  string // ID of the event that was read last; empty if it had none
}

// stream asks for events, of those after the one with the ID after, if that is not
// empty. It returns when the daemon has begun to listen for them; what happens from
// then on is not missed. The stream ends when ctx does.
func (c *Client) stream(ctx context.Context, path, after string) (*eventStream, error) {
	h := http.Header{"Accept": {"text/event-stream"}}
	if after != "" {
		h.Set("Last-Event-ID", after)
	}
	resp, err := c.send(ctx, http.MethodGet, path, h, nil)
	if err != nil {
		return nil, err
	}
	s := &eventStream{body: resp.Body, lines: bufio.NewScanner(resp.Body), last: after}
	s.lines.Buffer(nil, maxEvent)
	return s, nil
}

// next reads the next event into out, and waits for it. The error is [io.EOF] when
// the daemon has no more, and [io.ErrUnexpectedEOF] or another one when the
// connection was lost.
func (s *eventStream) next(out any) error {
	var data strings.Builder
	id := s.last
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case s.lines.Text() == "" && data.Len() > 0:
			s.last = id
			if err := json.Unmarshal([]byte(data.String()), out); err != nil {
				return fmt.Errorf("the daemon's event is not what this version expects: %w", err)
			}
			return nil
		case field == "data":
			data.WriteString(value)
		case field == "id":
			id = value
		}
	}
	if err := s.lines.Err(); err != nil {
		return err
	}
	if data.Len() > 0 {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// Close ends the stream.
func (s *eventStream) Close() error {
	err := s.body.Close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
