package daemon

import (
	"bytes"
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

// With a single port, a start that follows a stop waits for the transfers that
// still need the port.
func TestSinglePortIsHeldAgainAfterTheDrain(t *testing.T) {
	t.Parallel()
	down := make(saysDown, 2) // of the stop, and of the shutdown
	l := &listener{
		options: tftp.Options{Listen: "127.0.0.1:0", Opener: tftptest.Files{"a": tftptest.Bytes(600)}, SinglePort: true},
		drain:   time.Minute, failed: func(err error) { t.Error(err) }, logger: slog.New(slog.NewTextHandler(down, nil)),
	}
	if err := l.hold(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	addr := l.addrs()[0]
	l.options.Listen = addr.String()
	p := tftptest.NewPeer(t, addr.Addr(), addr)
	p.Ask("a")
	p.ExpectBlock(1)
	released, held := make(chan error, 1), make(chan error, 1)
	go func() { released <- l.drained(t.Context(), l.letGo("one"), l.drain) }()
	<-down
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
