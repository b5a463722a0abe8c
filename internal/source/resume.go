package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Retry says how hard a cut connection is tried again. What never worked, such
// as the first request to a server, is not tried again at all. The zero value
// works.
type Retry struct {
	Tries int           // in a row that gain no byte, before giving up; 0 is 8
	Pause time.Duration // before the next try, doubled up to half a minute; 0 is half a second
	Stall time.Duration // a connection that gives no byte for so long is cut; 0 is a minute
}

const maxPause = 30 * time.Second

// errStalled is why a connection was cut that gave no byte.
var errStalled = errors.New("the other end sent nothing more")

func (r Retry) withDefaults() Retry {
	if r.Tries == 0 {
		r.Tries = 8
	}
	if r.Pause == 0 {
		r.Pause = 500 * time.Millisecond
	}
	if r.Stall == 0 {
		r.Stall = time.Minute
	}
	return r
}

// resuming makes an opener of single connections one whose readers outlive them.
// size is that of the file, or -1; shown names it in errors. What connect does,
// and the reads from what it gives, must end with the context.
func (r Retry) resuming(shown string, size int64, connect opener) opener {
	return func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		rd := &resumingReader{ctx: ctx, retry: r.withDefaults(), shown: shown, size: size, connect: connect, at: offset}
		for rd.conn == nil && rd.err == nil {
			rd.reconnect()
		}
		if rd.err != nil && !errors.Is(rd.err, io.EOF) {
			return nil, rd.err
		}
		return rd, nil
	}
}

// A resumingReader reads a file over as many connections as it takes.
type resumingReader struct {
	ctx     context.Context // the reader's life; io.Reader has no place for one
	retry   Retry
	shown   string
	size    int64
	connect opener

	conn     *connection // nil between two of them
	at       int64       // of the next byte
	failures int         // in a row since a byte came
	err      error       // how it ended
}

// Read gives the next bytes, over a new connection if need be.
func (r *resumingReader) Read(p []byte) (int, error) {
	for len(p) > 0 && r.err == nil {
		if r.conn == nil {
			r.reconnect()
			continue
		}
		n, err := r.conn.read(p)
		if r.size >= 0 && int64(n) > r.size-r.at {
			r.err = r.wrap(fmt.Errorf("more came than what was announced: %w", ErrChanged))
			break
		}
		r.at += int64(n)
		if n > 0 {
			r.failures = 0
		}
		if err != nil {
			r.ended(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// Close closes the connection.
func (r *resumingReader) Close() error {
	r.err = errors.New("the reader is closed")
	return r.hangUp()
}

// reconnect opens a connection where the last one ended, after a pause if that
// one broke.
func (r *resumingReader) reconnect() {
	if r.at == r.size {
		r.err = io.EOF
		return
	}
	doublings := min(r.failures-1, 16) // the bound on the pause is reached long before
	if r.failures > 0 && !sleep(r.ctx, min(r.retry.Pause<<doublings, maxPause)) {
		r.broke(r.ctx.Err())
		return
	}
	conn, err := openConnection(r.ctx, r.retry.Stall, r.connect, r.at)
	if err != nil {
		r.broke(err)
		return
	}
	r.conn = conn
}

// ended is called when a connection gives no more bytes.
func (r *resumingReader) ended(err error) {
	_ = r.hangUp() // what was read is read
	switch {
	case !errors.Is(err, io.EOF):
		r.broke(err)
	case r.size < 0 || r.at == r.size:
		r.err = io.EOF
	default:
		r.broke(io.ErrUnexpectedEOF)
	}
}

// broke counts a failure, and ends everything if another try is in vain.
func (r *resumingReader) broke(err error) {
	r.failures++
	switch {
	case r.ctx.Err() != nil:
		r.err = r.wrap(context.Cause(r.ctx))
	case isPermanent(err):
		r.err = r.wrap(err)
	case r.failures >= r.retry.Tries:
		r.err = r.wrap(fmt.Errorf("given up after %d tries: %w", r.failures, err))
	}
}

func (r *resumingReader) hangUp() error {
	if r.conn == nil {
		return nil
	}
	conn := r.conn
	r.conn = nil
	return conn.close()
}

// wrap adds which file it is and how far its bytes came.
func (r *resumingReader) wrap(err error) error {
	if r.size < 0 {
		return fmt.Errorf("%s: after %d bytes: %w", r.shown, r.at, err)
	}
	return fmt.Errorf("%s: after %d of %d bytes: %w", r.shown, r.at, r.size, err)
}

// sleep waits, and tells whether that was not cut short by the context.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// A connection is one that is cut when it gives no byte for too long.
type connection struct {
	body  io.ReadCloser
	ctx   context.Context // its life, from which the stall is told
	cut   context.CancelCauseFunc
	stall time.Duration
	timer *time.Timer // cuts it when it fires
}

func openConnection(ctx context.Context, stall time.Duration, connect opener, offset int64) (*connection, error) {
	c := &connection{stall: stall}
	c.ctx, c.cut = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(stall, func() { c.cut(errStalled) })
	body, err := connect(c.ctx, offset)
	c.timer.Stop()
	if err != nil {
		err = c.reason(err)
		c.cut(nil)
		return nil, err
	}
	c.body = body
	return c, nil
}

func (c *connection) read(p []byte) (int, error) {
	c.timer.Reset(c.stall)
	n, err := c.body.Read(p)
	c.timer.Stop()
	if err != nil {
		err = c.reason(err)
	}
	return n, err
}

// reason is why the connection broke: where it was cut by us, that.
func (c *connection) reason(err error) error {
	if cause := context.Cause(c.ctx); cause != nil {
		return cause
	}
	return err
}

func (c *connection) close() error {
	c.timer.Stop()
	err := c.body.Close()
	c.cut(nil)
	return err
}
