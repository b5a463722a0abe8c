package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"netbootd/tftp"
)

// The holders of the TFTP listener that are no profiles.
const (
	holderAlways = "[tftp] always"
	holderManual = "tftp start"
)

// profileHolder is the name under which a started profile holds the listener.
func profileHolder(profile string) string { return "profile " + profile }

// A listener is the TFTP service as something that is up exactly while somebody
// holds it. It is safe for concurrent use.
type listener struct {
	options tftp.Options
	drain   time.Duration
	failed  func(error) // told if the listener breaks down by itself
	logger  *slog.Logger

	serving sync.WaitGroup // servers that are not gone yet

	mu       sync.Mutex // guards what follows; binding a port is done under it
	closed   bool       // shut down: nobody can hold it any more
	holders  map[string]bool
	server   *tftp.Server                   // nil while down
	draining map[*tftp.Server]chan struct{} // closed when the server is gone
	resent   int64                          // retransmissions of servers that are gone
}

// errClosed is why a holder comes too late.
var errClosed = errors.New("netbootd is stopping")

// hold brings the listener up if it is not, and returns after it is bound. An
// error means that the holder does not hold it. With a single port it waits until
// transfers have ended that still need the port, or until ctx ends.
func (l *listener) hold(ctx context.Context, holder string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for gone := l.portTaken(); gone != nil && !l.closed; gone = l.portTaken() {
		l.mu.Unlock()
		select {
		case <-gone:
		case <-ctx.Done():
		}
		l.mu.Lock()
		if ctx.Err() != nil {
			return fmt.Errorf("transfers still need the single port: %w", ctx.Err())
		}
	}
	if l.closed {
		return errClosed
	}
	if l.server == nil {
		server, err := tftp.Listen(l.options)
		if err != nil {
			return err
		}
		l.server = server
		l.serving.Go(func() {
			if err := server.Serve(context.Background()); err != nil {
				l.failed(err)
			}
		})
		l.logger.Info("TFTP is up", "addresses", addrTexts(server.Addrs()), "for", holder)
	}
	if l.holders == nil {
		l.holders = make(map[string]bool)
	}
	l.holders[holder] = true
	return nil
}

// portTaken is closed when the next server is gone that still needs the single
// port; it is nil if there is none. The caller holds l.mu.
func (l *listener) portTaken() <-chan struct{} {
	if l.options.SinglePort && l.server == nil {
		for _, gone := range l.draining {
			return gone
		}
	}
	return nil
}

// letGo takes a holder away. With the last one the port is given back at once, and
// the server is returned, for [listener.drained] to wait for its transfers; else
// nil. Meanwhile the listener may come up again.
func (l *listener) letGo(holder string) *tftp.Server {
	l.mu.Lock()
	delete(l.holders, holder)
	server := l.server
	if len(l.holders) > 0 || server == nil {
		l.mu.Unlock()
		return nil
	}
	server.StopListening()
	l.server = nil
	if l.draining == nil {
		l.draining = make(map[*tftp.Server]chan struct{})
	}
	l.draining[server] = make(chan struct{})
	l.mu.Unlock()
	l.logger.Info("TFTP is down: nobody holds it", "transfers", server.Stats().Active)
	return server
}

// drained returns when the transfers of a server have ended: by themselves, or
// because that time is over or ctx ends, whichever is first. Those that had to be
// cut are no error: each is reported by itself. A nil server has none.
func (l *listener) drained(ctx context.Context, server *tftp.Server, within time.Duration) error {
	if server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := server.Shutdown(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if gone := l.draining[server]; gone != nil {
		l.resent += server.Stats().Retransmissions
		delete(l.draining, server)
		close(gone)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// shutdown takes all holders away for good, and returns when every server is gone.
func (l *listener) shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	clear(l.holders)
	others := slices.Collect(maps.Keys(l.draining))
	l.mu.Unlock()
	err := l.drained(ctx, l.letGo(""), l.drain)
	for _, server := range others {
		err = errors.Join(err, l.drained(ctx, server, l.drain))
	}
	l.serving.Wait()
	return err
}

// heldBy are its holders, by name.
func (l *listener) heldBy() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.holders))
}

// addrs are the addresses really bound; none while it is down.
func (l *listener) addrs() []netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil {
		return nil
	}
	return l.server.Addrs()
}

// servers are those that have transfers, whether they still listen or not.
func (l *listener) servers() (all []*tftp.Server, up bool, resent int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all = slices.Collect(maps.Keys(l.draining))
	if l.server != nil {
		all = append(all, l.server)
	}
	return all, l.server != nil, l.resent
}

// stats are the numbers of the engine since the process started.
func (l *listener) stats() (up bool, active int, resent int64) {
	all, up, resent := l.servers()
	for _, server := range all {
		s := server.Stats()
		active += s.Active
		resent += s.Retransmissions
	}
	return up, active, resent
}

// transfers are those in flight, the oldest first.
func (l *listener) transfers() []tftp.Progress {
	all, _, _ := l.servers()
	var list []tftp.Progress
	for _, server := range all {
		list = append(list, server.Transfers()...)
	}
	slices.SortFunc(list, func(a, b tftp.Progress) int { return a.Since.Compare(b.Since) })
	return list
}
