package control

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// pipes is a listener whose connections are made by dial.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// A client that has gone silent in the midst of what it sends keeps nobody from
// stopping.
func TestServeEndsThoughAClientHasGoneSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := make(chan struct{})
		ended := make(chan error, 1)
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
		})
		ln := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, ln, h, nil) }()
		c := ln.dial()
		defer func() { _ = c.Close() }()
		w := bufio.NewWriter(c)
		_, _ = w.WriteString("PUT /v1/files/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nthe beginning")
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		<-began
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		select {
		case err := <-ended:
			if err == nil {
				t.Error("half of a body passed for a whole one")
			}
		default:
			t.Error("the request is still running")
		}
	})
}
