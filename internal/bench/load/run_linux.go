package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Run does a job and returns when all clients have ended or the job's bound is
// reached. It needs a file descriptor for each client, and uses the network
// namespace of the calling thread. The error is one of the generator's own, or
// ctx's; what goes wrong between a client and the server is counted in
// [Result].Failures.
func Run(ctx context.Context, job Job, pattern *Pattern) (*Result, error) {
	job, err := job.withDefaults()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := &generator{
		job:      job,
		request:  job.request(),
		server:   newEndpoint(job.Server),
		dice:     newDice(job.Seed, job.Loss),
		receiver: newReceiver(job.batch(), max(2048, int(job.Blksize)+len("DATA")+1)),
		result:   Result{Clients: job.Clients, Failures: make(map[string]int)},
	}
	if err := errors.Join(g.open(pattern), g.measure(ctx)); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return &g.result, g.close()
}

// A generator is the loop and all that it looks at. Times are since its start.
type generator struct {
	job      Job
	request  []byte
	server   endpoint
	dice     dice
	poller   *poller
	receiver *receiver
	clients  []client
	timers   timers
	delayed  queue
	start    time.Time
	left     int // clients that have not ended
	held     int // of these, those that stopped at their first block
	result   Result
}

// open makes the sockets of all clients.
func (g *generator) open(pattern *Pattern) (err error) {
	if g.poller, err = newPoller(); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	g.clients = make([]client, 0, g.job.Clients)
	for i := range g.job.Clients {
		fd, err := newSocket()
		if err != nil {
			return fmt.Errorf("socket of client %d: %w", i, err)
		}
		g.clients = append(g.clients, client{transfer: newTransfer(&g.job, pattern), fd: fd})
		if err := g.poller.add(fd, i); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		// In ascending order, so it is a heap.
		g.timers = append(g.timers, timer{due: g.job.Over * time.Duration(i) / time.Duration(g.job.Clients), client: i})
	}
	g.left = len(g.clients)
	return nil
}

func (g *generator) close() error {
	var errs []error
	for i := range g.clients {
		if fd := g.clients[i].fd; fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	if g.poller != nil {
		errs = append(errs, g.poller.close())
	}
	return errors.Join(errs...)
}

// measure runs the loop between two readings of the clocks.
func (g *generator) measure(ctx context.Context) error {
	if g.left == 0 {
		return nil // open went wrong
	}
	before, err := threadCPU()
	if err != nil {
		return err
	}
	g.start = time.Now()
	err = g.loop(ctx)
	g.result.Elapsed = g.now()
	after, cpuErr := threadCPU()
	g.result.CPU = after - before
	g.result.finish()
	return errors.Join(err, cpuErr)
}

func (g *generator) now() time.Duration { return time.Since(g.start) }

func (g *generator) loop(ctx context.Context) error {
	for g.left > 0 {
		now := g.now()
		if err := ctx.Err(); err != nil {
			return err
		}
		if now > g.job.Bound {
			g.endAll("not done in time")
			return nil
		}
		g.sendDelayed(now)
		g.fire(now)
		if g.job.Hold != nil && g.held == g.left {
			g.release()
			continue
		}
		events, err := g.poller.wait(g.next()-now, g.job.RTT > 0)
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		now = g.now()
		for _, e := range events {
			g.read(int(e.Fd), now)
		}
	}
	return nil
}

// next is when the loop must wake at the latest. A long silence is cut short, so
// that the end of the context is noticed.
func (g *generator) next() time.Duration {
	next := g.now() + 100*time.Millisecond
	if len(g.timers) > 0 {
		next = min(next, g.timers[0].due)
	}
	if due, ok := g.delayed.next(); ok {
		next = min(next, due)
	}
	return next
}

// fire starts the clients whose time has come, and lets those send again that
// have waited too long.
func (g *generator) fire(now time.Duration) {
	for len(g.timers) > 0 && g.timers[0].due <= now {
		i := g.timers[0].client
		c := &g.clients[i]
		switch {
		case c.fd < 0:
			g.timers.dropFirst()
			continue
		case c.deadline == 0:
			c.started = now
			g.send(i, request, 0, now)
		case c.deadline > now:
		case c.tries == g.job.Tries:
			c.fail("no answer")
			g.end(i)
			continue
		default:
			c.tries++
			g.result.Resent++
			r := c.timeout()
			g.send(i, r, c.acked, now)
		}
		g.timers.moveFirst(c.deadline)
	}
}

func (g *generator) sendDelayed(now time.Duration) {
	for d, ok := g.delayed.pop(now); ok; d, ok = g.delayed.pop(now) {
		g.send(d.client, d.reply, d.block, now)
	}
}

// release calls the job's Hold and lets all clients go on.
func (g *generator) release() {
	g.job.Hold(g.held)
	g.job.Hold, g.held = nil, 0
	now := g.now()
	for i := range g.clients {
		if c := &g.clients[i]; c.held {
			c.held = false
			g.send(i, c.acknowledge(), c.last, now)
		}
	}
	for i := range g.timers {
		g.timers[i].due = now
	}
}
