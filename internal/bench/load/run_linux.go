package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Run does a job and returns when all clients have ended or the job's bound is
// reached. It uses the network namespace of the calling thread. The error is one
// of the generator's own, or ctx's; what goes wrong between a client and the
// server is counted in [Result].Failures.
func Run(ctx context.Context, job Job, pattern *Pattern) (*Result, error) {
	job, err := job.withDefaults()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := &generator{
		job:     job,
		request: job.request(),
		server:  newEndpoint(job.Server),
		dice:    newDice(job.Seed, job.Loss),
		result:  Result{Clients: job.Clients, Failures: make(map[string]int)},
	}
	g.enter(pattern)
	if g.station, err = newStation(max(2048, int(job.Blksize)+len("DATA")+1)); err != nil {
		return nil, err
	}
	err = errors.Join(g.measure(ctx), g.station.close())
	if err != nil {
		return nil, err
	}
	return &g.result, nil
}

// A generator is the loop and all that it looks at. Times are since its start.
type generator struct {
	job     Job
	request []byte
	server  endpoint
	dice    dice
	station *station
	clients []client
	timers  timers
	delayed queue
	start   time.Time
	left    int // clients that have not ended
	held    int // of these, those that stopped at their first block
	result  Result
}

// enter makes all clients.
func (g *generator) enter(pattern *Pattern) {
	g.left = g.job.Clients
	g.clients = make([]client, g.job.Clients)
	for i := range g.clients {
		g.clients[i].transfer = newTransfer(&g.job, pattern)
		// In ascending order, so it is a heap.
		g.timers = append(g.timers, timer{due: g.job.Over * time.Duration(i) / time.Duration(g.job.Clients), client: i})
	}
}

// measure runs the loop between two readings of the clocks.
func (g *generator) measure(ctx context.Context) error {
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
	for more := false; g.left > 0; {
		now := g.now()
		if err := ctx.Err(); err != nil {
			return err
		}
		if now > g.job.Bound {
			g.endAll("not done in time")
			return nil
		}
		if err := g.act(now); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if g.job.Hold != nil && g.held == g.left {
			if err := g.release(); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			continue
		}
		if !more {
			if err := g.station.wait(g.next() - now); err != nil {
				return fmt.Errorf("wait for packets: %w", err)
			}
		}
		var err error
		if more, err = g.read(); err != nil {
			return fmt.Errorf("receive and answer: %w", err)
		}
	}
	return nil
}

// act does what is due by time.
func (g *generator) act(now time.Duration) error {
	for d, ok := g.delayed.pop(now); ok; d, ok = g.delayed.pop(now) {
		if err := g.send(d.client, d.reply, d.block, now); err != nil {
			return err
		}
	}
	if err := g.fire(now); err != nil {
		return err
	}
	return g.station.flush()
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
func (g *generator) fire(now time.Duration) (err error) {
	for err == nil && len(g.timers) > 0 && g.timers[0].due <= now {
		i := g.timers[0].client
		c := &g.clients[i]
		switch {
		case c.ended:
			g.timers.dropFirst()
			continue
		case c.deadline == 0:
			c.started = now
			err = g.send(i, request, 0, now)
		case c.deadline > now:
		case c.tries == g.job.Tries:
			c.fail("no answer")
			g.end(i)
			continue
		default:
			c.tries++
			g.result.Resent++
			r := c.timeout()
			err = g.send(i, r, c.acked, now)
		}
		g.timers.moveFirst(c.deadline)
	}
	return err
}

// release calls the job's Hold and lets all clients go on.
func (g *generator) release() error {
	g.job.Hold(g.held)
	g.job.Hold, g.held = nil, 0
	now := g.now()
	for i := range g.clients {
		if c := &g.clients[i]; c.held {
			c.held = false
			if err := g.send(i, c.acknowledge(), c.last, now); err != nil {
				return err
			}
		}
	}
	for i := range g.timers {
		g.timers[i].due = now
	}
	return g.station.flush()
}
