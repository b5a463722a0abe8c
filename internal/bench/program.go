//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"netbootd/internal/e2e/lab"
)

// A program is a running server with all processes it has made.
type program struct {
	*lab.Process
	*cgroup
	net  *lab.Network
	port uint16 // UDP, bound while it runs
}

// startBound is how long a server may take to listen, or to let go of the port.
const startBound = 10 * time.Second

// launch starts a server and returns when its port is bound.
func launch(ctx context.Context, net *lab.Network, s server) (*program, error) {
	group, err := newCgroup()
	if err != nil {
		return nil, err
	}
	p := &program{cgroup: group, net: net, port: cmp.Or(s.port, address.Port())}
	if p.Process, err = p.start(s); err != nil {
		return nil, errors.Join(err, group.remove())
	}
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	err = p.Guard(ctx, func(ctx context.Context) error {
		return net.WaitUDP(ctx, lab.BootPlace, p.port, true)
	})
	if err != nil {
		return nil, fmt.Errorf("%s does not listen: %w", s.name, errors.Join(err, p.end()))
	}
	return p, nil
}

// start starts a server in the cgroup. What it prints is thrown away: to read it
// would take time from the machine while it is measured. The shell that does so
// is replaced by the server.
func (p *program) start(s server) (*lab.Process, error) {
	dir, err := os.Open(p.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	args := append([]string{"-c", `exec "$@" >/dev/null 2>&1`, "sh", s.program}, s.args...)
	cmd := p.net.Command(context.Background(), lab.BootPlace, "sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	return p.net.StartCommand(cmd, lab.Options{Name: s.name})
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
	if err := p.end(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	return p.net.WaitUDP(ctx, lab.BootPlace, p.port, false)
}

func (p *program) end() error {
	p.Stop()
	pids, err := p.pids()
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended meanwhile
	}
	for _, pid := range pids {
		// As process 1 of the lab we are the parent of what was left behind. If
		// the kernel has buried it already there is nothing to wait for.
		for {
			if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	return errors.Join(err, p.remove())
}

// memory is how much of the machine's memory the server's processes hold, in
// bytes: what several of them share counts once (Pss).
func (p *program) memory() (int64, error) {
	return p.sum(func(proc procfs.Proc) (uint64, error) {
		rollup, err := proc.ProcSMapsRollup()
		return rollup.Pss, err
	})
}

// peak is how much the server's processes have held at most, in bytes, each for
// itself (VmHWM). Those that have ended do not count.
func (p *program) peak() (int64, error) {
	return p.sum(func(proc procfs.Proc) (uint64, error) {
		status, err := proc.NewStatus()
		return status.VmHWM, err
	})
}

// sum adds up what each of the server's processes has.
func (p *program) sum(of func(procfs.Proc) (uint64, error)) (int64, error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range pids {
		proc, err := procfs.NewProc(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		if n, err := of(proc); err == nil {
			sum += int64(n)
		}
	}
	return sum, nil
}
