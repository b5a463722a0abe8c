//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"netbootd/internal/bench/load"
	"netbootd/internal/e2e/lab"
)

// A bench is what all measurements share.
type bench struct {
	net      *lab.Network
	servers  []server // of files
	boots    []server // of OFFERs
	pattern  *load.Pattern
	rounds   int
	progress io.Writer
}

// settleTime is after how long the files count as ones that nobody writes any more,
// as those of a boot server are.
const settleTime = 3 * time.Second

// newBench makes the network and the files that the scenarios ask for.
func newBench(ctx context.Context, o options, list []scenario, progress io.Writer) (*bench, error) {
	// /run is a file system in memory, and the lab's own. Unlike the directory
	// for temporary files it can be read by the users that servers turn into.
	dir, err := os.MkdirTemp("/run", "bench-")
	if err != nil {
		return nil, err
	}
	err = os.Chmod(dir, 0o755)
	for _, sub := range []string{"files", "profiles.d", "state"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	if err != nil {
		return nil, err
	}
	b := &bench{pattern: load.NewPattern(), rounds: o.rounds, progress: progress}
	if b.servers, err = makeServers(o, dir); err != nil {
		return nil, err
	}
	if b.boots, err = makeBootServers(b.servers, dir); err != nil {
		return nil, err
	}
	for _, s := range append([]scenario{{job: load.Job{Size: warmUpSize}}}, list...) {
		if s.discover != nil {
			continue
		}
		if err := b.writeFile(filepath.Join(dir, "files"), s.job.Size); err != nil {
			return nil, err
		}
	}
	// Some servers do not trust a file that may still be being written.
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(settleTime):
	}
	if err := mountCgroups(); err != nil {
		return nil, err
	}
	if b.net, err = lab.NewNetwork(ctx, "bench"); err != nil {
		return nil, err
	}
	return b, wireRelay(b.net)
}

// fileName is the name of the file of a size.
func fileName(size int64) string { return fmt.Sprintf("%d.bin", size) }

func (b *bench) writeFile(dir string, size int64) error {
	f, err := os.Create(filepath.Join(dir, fileName(size)))
	if err != nil {
		return err
	}
	return errors.Join(b.pattern.WriteFile(f, size), f.Close())
}

// A report is all measurements of a scenario, one for each round, by the name of
// the server.
type report struct {
	scenario scenario
	servers  []string // in the order of the table
	peers    []string // those of them that may be the best peer
	rounds   map[string][]measurement
}

// A measurement is one scenario played once with one server.
type measurement struct {
	load.Result
	cpu    time.Duration // of the server
	memory int64         // bytes that open transfers have added, if they were held
	peak   int64         // bytes that the server held at most, if they were not
	open   int           // how many those were
	why    string        // nothing could be measured; empty if it could
}

// play runs the rounds. The error is one of the program's own; what a server
// does wrong is part of the reports.
func (b *bench) play(ctx context.Context, list []scenario) ([]report, error) {
	reports := make([]report, len(list))
	for i, s := range list {
		reports[i] = report{scenario: s, rounds: make(map[string][]measurement)}
		for _, one := range b.serversOf(s) {
			reports[i].servers = append(reports[i].servers, one.name)
			if one.isPeer {
				reports[i].peers = append(reports[i].peers, one.name)
			}
		}
	}
	for round := range b.rounds {
		for i, s := range list {
			for _, one := range b.serversOf(s) {
				m, err := b.measure(ctx, s, one, round)
				if err != nil {
					return nil, fmt.Errorf("%s with %s: %w", s.name, one.name, err)
				}
				fmt.Fprintf(b.progress, "round %d of %d  %-14s %-10s %s\n", round+1, b.rounds, s.name, one.name, m.line())
				reports[i].rounds[one.name] = append(reports[i].rounds[one.name], m)
			}
		}
	}
	return reports, nil
}

// measure starts a server, plays a scenario with it and ends it.
func (b *bench) measure(ctx context.Context, s scenario, one server, round int) (m measurement, err error) {
	p, err := launch(ctx, b.net, one)
	if err != nil {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		return measurement{why: err.Error()}, nil
	}
	defer func() { err = errors.Join(err, p.stop(ctx)) }()
	if s.discover != nil {
		return b.measureOffers(ctx, p, *s.discover)
	}
	if why := b.warmUp(ctx, p); why != "" {
		return measurement{why: why}, ctx.Err()
	}
	job := s.job
	job.Server, job.File, job.Seed = address, fileName(job.Size), uint64(round)
	if s.hold {
		if one.holds > 0 {
			job.Clients = min(job.Clients, one.holds)
		}
		return b.hold(ctx, p, job)
	}
	before, err := p.cpu()
	if err != nil {
		return m, err
	}
	r, err := b.run(ctx, job)
	if err != nil {
		return m, err
	}
	after, err := p.cpu()
	if p.isGone() {
		return measurement{Result: *r, why: fmt.Sprintf("the server died, %d clients failed", r.Failed())}, nil
	}
	peak, peakErr := p.peak()
	return measurement{Result: *r, cpu: after - before, peak: peak}, errors.Join(err, peakErr)
}

// run plays a job where the servers are.
func (b *bench) run(ctx context.Context, job load.Job) (r *load.Result, err error) {
	err = b.net.Do(lab.BootPlace, func() (err error) {
		r, err = load.Run(ctx, job, b.pattern)
		return err
	})
	return r, err
}

const warmUpSize = 10_000

// warmUp fetches a short file, so that what a server does at its first request
// is not measured. It tells why that is impossible.
func (b *bench) warmUp(ctx context.Context, p *program) (why string) {
	job := load.Job{
		Server: address, File: fileName(warmUpSize), Size: warmUpSize, Clients: 1, Blksize: ethernetBlksize,
		Timeout: 200 * time.Millisecond, Tries: 25,
	}
	r, err := b.run(ctx, job)
	switch {
	case err != nil:
		return err.Error()
	case p.isGone():
		return "the server died at its first request"
	}
	for why := range r.Failures {
		return "the first request: " + why
	}
	return ""
}

// hold plays a job whose clients all stop at their first block, and reads then
// how much memory the server has taken for them.
func (b *bench) hold(ctx context.Context, p *program, job load.Job) (measurement, error) {
	before, err := p.memory()
	if err != nil {
		return measurement{}, err
	}
	var m measurement
	var readErr error
	job.Hold = func(open int) {
		m.open = open
		m.memory, readErr = p.memory()
		m.memory -= before
	}
	r, err := b.run(ctx, job)
	if err := errors.Join(err, readErr); err != nil {
		return measurement{}, err
	}
	m.Result = *r
	switch {
	case p.isGone():
		m.why = fmt.Sprintf("the server died, %d clients failed", r.Failed())
	case m.open == 0:
		m.why = "no transfer could be held open"
	}
	return m, nil
}
