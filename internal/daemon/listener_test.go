package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// saysDown is a log whose line about the end of the listener can be awaited.
type saysDown chan struct{}

func (s saysDown) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("TFTP is down")) {
		s <- struct{}{}
	}
	return len(line), nil
}

// drainingListener has a single port that a stop has been asked for, which waits
// for a transfer of p.
func drainingListener(t *testing.T) (l *listener, p *tftptest.Peer, released <-chan error) {
	t.Helper()
	down := make(saysDown, 2) // of the stop, and of the shutdown
	l = &listener{
		options: tftp.Options{Listen: "127.0.0.1:0", Opener: tftptest.Files{"a": tftptest.Bytes(600)}, SinglePort: true},
		drain:   time.Minute, failed: func(err error) { t.Error(err) }, logger: slog.New(slog.NewTextHandler(down, nil)),
	}
	if err := l.hold(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	addr := l.addrs()[0]
	l.options.Listen = addr.String()
	p = tftptest.NewPeer(t, addr.Addr(), addr)
	p.Ask("a")
	p.ExpectBlock(1)
	result := make(chan error, 1)
	go func() { result <- l.drained(t.Context(), l.letGo("one"), l.drain) }()
	<-down
	return l, p, result
}

// With a single port, a start that follows a stop waits for the transfers that
// still need the port.
func TestSinglePortIsHeldAgainAfterTheDrain(t *testing.T) {
	t.Parallel()
	l, p, released := drainingListener(t)
	addr := p.TID()
	held := make(chan error, 1)
	go func() { held <- l.hold(t.Context(), "two") }()
	p.Ack(1)
	p.ExpectBlock(2)
	p.Ack(2)
	if err := <-released; err != nil {
		t.Error(err)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
	if got := l.addrs(); len(got) != 1 || got[0] != addr {
		t.Errorf("bound to %v, want %v", got, addr)
	}
	if err := l.shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A start that is given up leaves the transfers alone which it waited for.
func TestHoldEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, p, released := drainingListener(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.hold(ctx, "two"); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	p.Ack(1)
	p.ExpectBlock(2)
	p.Ack(2)
	if err := <-released; err != nil {
		t.Error(err)
	}
	if err := l.shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Nobody would end a server that came up when the daemon is stopping, also not
// one that only waited for the port.
func TestNobodyHoldsAListenerThatIsShutDown(t *testing.T) {
	t.Parallel()
	l, _, released := drainingListener(t)
	held := make(chan error, 1)
	go func() { held <- l.hold(t.Context(), "two") }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-held; !errors.Is(err, errClosed) {
		t.Errorf("waiting for the port: got error %v", err)
	}
	if err := l.hold(t.Context(), "three"); !errors.Is(err, errClosed) {
		t.Errorf("afterwards: got error %v", err)
	}
	if got := l.addrs(); got != nil {
		t.Errorf("bound to %v", got)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
}
