//go:build linux

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval paces the few waits for which the kernel offers no event.
const pollInterval = 20 * time.Millisecond

// ipBatch runs lines of the ip command, in namespace ns or, if that is empty,
// in the lab's own.
func ipBatch(ns string, lines ...string) error {
	args := []string{"-batch", "-"}
	if ns != "" {
		args = append([]string{"-netns", ns}, args...)
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(lines, "; "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// inNamespace runs f on a thread of its own in network namespace ns. Sockets
// that f opens stay in ns for good.
func inNamespace(ns string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine, so
		// that no other goroutine can land in the wrong namespace.
		runtime.LockOSThread()
		done <- enterAndRun(ns, f)
	}()
	return <-done
}

func enterAndRun(ns string, f func() error) error {
	file, err := os.Open("/run/netns/" + ns)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", ns, err)
	}
	return f()
}

// udpPorts lists the local UDP ports bound in the namespace of the calling
// thread, IPv4 and IPv6.
func udpPorts() (map[uint16]bool, error) {
	ports := make(map[uint16]bool)
	for _, name := range []string{"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"} {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = addPorts(ports, f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return ports, nil
}

// addPorts reads the kernel's table: after a head line, field two is the local
// address and port in hexadecimal digits.
func addPorts(ports map[uint16]bool, table io.Reader) error {
	lines := bufio.NewScanner(table)
	lines.Scan()
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		_, port, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			return err
		}
		ports[uint16(n)] = true
	}
	return lines.Err()
}

// WaitUDP blocks until UDP port is bound at place, or, with bound false, until
// nobody holds it any more.
func (n *Network) WaitUDP(ctx context.Context, at Place, port uint16, bound bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		var ports map[uint16]bool
		err := n.Do(at, func() (err error) {
			ports, err = udpPorts()
			return err
		})
		if err != nil {
			return err
		}
		if ports[port] == bound {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("UDP port %d at %s: bound is not %t: %w", port, at, bound, ctx.Err())
		case <-tick.C:
		}
	}
}
