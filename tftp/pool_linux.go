package tftp

import "sync"

// maxFileWorkers is how many goroutines open and read files at once. They mostly
// wait for the disk or for a network file system.
const maxFileWorkers = 64

// A pool does work that may block, in order of arrival, with a bounded number of
// goroutines. Without work it has none.
type pool struct {
	running *sync.WaitGroup // counts the goroutines

	mu      sync.Mutex // guards what follows
	queue   []func()
	workers int
}

// do has job done soon. It does not block.
func (p *pool) do(job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, job)
	if p.workers < maxFileWorkers {
		p.workers++
		p.running.Go(p.work)
	}
}

func (p *pool) work() {
	for job := p.take(); job != nil; job = p.take() {
		job()
	}
}

// take returns the next job, or nil when the goroutine shall end.
func (p *pool) take() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.workers--
		p.queue = nil
		return nil
	}
	job := p.queue[0]
	p.queue[0] = nil // let it be collected
	p.queue = p.queue[1:]
	return job
}
