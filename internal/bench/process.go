//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"netbootd/internal/e2e/lab"
)

// A program is a running server with all processes it has made.
type program struct {
	*lab.Process
	net *lab.Network
}

// launch starts a server and returns when its port is bound.
func launch(ctx context.Context, net *lab.Network, s server) (*program, error) {
	// What it prints is thrown away: reading it would take time from the machine
	// while it is measured. The shell is replaced by the server.
	command := append([]string{"-c", `exec "$@" >/dev/null 2>&1`, "sh", s.program}, s.args...)
	p, err := net.Start(lab.BootPlace, "sh", command...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = p.Guard(ctx, func(ctx context.Context) error {
		return net.WaitUDP(ctx, lab.BootPlace, address.Port(), true)
	})
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s does not listen: %w", s.name, err)
	}
	return &program{Process: p, net: net}, nil
}

// isGone tells whether the server has ended by itself.
func (p *program) isGone() bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// stop ends the server and what it leaves behind, so that nothing of it runs
// beside the next one.
func (p *program) stop(ctx context.Context) error {
	all, err := p.tree()
	p.Stop()
	for _, one := range all {
		if one.PID == p.PID() {
			continue
		}
		// As process 1 of the lab we are the parent now, and have to wait for it.
		_ = unix.Kill(one.PID, unix.SIGKILL) // it may have ended meanwhile
		for {
			_, err := unix.Wait4(one.PID, nil, 0, nil)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return p.net.WaitUDP(ctx, lab.BootPlace, address.Port(), false)
}

// tree lists the server's processes. The lab has a process table of its own, so
// it is a short one.
func (p *program) tree() ([]procfs.ProcStat, error) {
	procs, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	var all []procfs.ProcStat
	isOurs := map[int]bool{p.PID(): true}
	for _, one := range procs {
		stat, err := one.Stat()
		if err != nil {
			continue // it has ended meanwhile
		}
		// A parent has a lower number than its children: the numbers of a lab
		// do not start over in the time of a run.
		if isOurs[stat.PID] || isOurs[stat.PPID] {
			isOurs[stat.PID] = true
			all = append(all, stat)
		}
	}
	return all, nil
}

// tick is the unit of times in /proc/PID/stat. The kernel fixes it for user space.
const tick = time.Second / 100

// cpu is the processor time that the server has used so far: that of its
// processes and of the children they have waited for. The former is exact, the
// latter counts whole ticks.
func (p *program) cpu() (time.Duration, error) {
	all, err := p.tree()
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, stat := range all {
		sum += time.Duration(stat.CUTime+stat.CSTime) * tick
		var ts unix.Timespec
		if err := unix.ClockGettime(processClock(stat.PID), &ts); err != nil {
			sum += time.Duration(stat.UTime+stat.STime) * tick
			continue
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// processClock is the processor time clock of a process, all its threads
// included (clock_getcpuclockid(3) and the kernel's CPUCLOCK_SCHED).
func processClock(pid int) int32 {
	const cpuclockSched = 2
	return int32(^pid<<3 | cpuclockSched)
}

// memory is how much of the machine's memory the server's processes hold, in
// bytes: what several of them share counts once (Pss).
func (p *program) memory() (int64, error) {
	all, err := p.tree()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, stat := range all {
		proc, err := procfs.NewProc(stat.PID)
		if err != nil {
			continue // it has ended meanwhile
		}
		rollup, err := proc.ProcSMapsRollup()
		if err != nil {
			continue
		}
		sum += int64(rollup.Pss)
	}
	return sum, nil
}
