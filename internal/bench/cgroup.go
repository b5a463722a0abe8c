//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A cgroup accounts for a server with all processes that it ever starts. The
// process table would not do: tftpd-hpa has the kernel forget its children, and
// their processor time with them.
type cgroup struct {
	dir string
}

// cgroupMount is where the lab sees the cgroups of version 2, whatever the host
// uses. Processor time is accounted there without any controller.
const cgroupMount = "/run/cgroup"

// cgroupPrefix is for the names. They are seen on the host.
const cgroupPrefix = "netbootd-bench-"

// mountCgroups makes cgroups usable, and removes those of runs that were killed.
func mountCgroups() error {
	if err := os.Mkdir(cgroupMount, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("cgroup2", cgroupMount, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount cgroup2, which tells the servers' processor time: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(cgroupMount, cgroupPrefix+"*"))
	for _, dir := range old {
		_ = os.Remove(dir) // refused while another run is using it
	}
	return err
}

func newCgroup() (*cgroup, error) {
	dir, err := os.MkdirTemp(cgroupMount, cgroupPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	return &cgroup{dir: dir}, nil
}

// remove removes the cgroup. All its processes must have ended.
func (c *cgroup) remove() error { return os.Remove(c.dir) }

// cpu is the processor time that all its processes have used, ended ones
// included.
func (c *cgroup) cpu() (time.Duration, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		digits, ok := strings.CutPrefix(line, "usage_usec ")
		if !ok {
			continue
		}
		usec, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		return time.Duration(usec) * time.Microsecond, err
	}
	return 0, errors.New("cpu.stat has no line usage_usec")
}

// pids are the processes that it has now.
func (c *cgroup) pids() ([]int, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
