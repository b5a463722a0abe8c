//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideVar marks the second run of the program, the one in the namespaces.
const insideVar = "NETBOOTD_LAB_INSIDE"

// ErrNotPermitted says that this process may not make namespaces. Its text
// tells the reader what to do; tests skip with it.
var ErrNotPermitted = errors.New("the virtual network needs root and the right to make namespaces (CAP_SYS_ADMIN, CAP_NET_ADMIN): " +
	"run it with sudo, or in a container with --privileged --device /dev/net/tun")

// Inside reports whether the program runs in the lab already. Work that needs
// the host's network, such as fetching packages, is done while it is false.
func Inside() bool {
	// The first process of a new PID namespace is number 1; a variable
	// inherited by accident alone must not make us mount over the host's /run.
	return os.Getenv(insideVar) != "" && os.Getpid() == 1
}

// Enter moves the program into the lab. Called first on the host, it runs the
// program again with the same arguments in new namespaces, hands SIGINT,
// SIGTERM and SIGQUIT on to it and exits with its exit code: it returns only
// with an error, [ErrNotPermitted] among them. In that second run it prepares
// the namespaces and returns nil.
//
// Inside, /run is empty and private, and temporary files (TMPDIR) live there.
func Enter() error {
	if Inside() {
		return settle()
	}
	code, err := runInside()
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// runInside runs this program again in new namespaces and returns its exit
// code, in the shell's manner if a signal ended it.
func runInside() (int, error) {
	if os.Geteuid() != 0 {
		return 0, ErrNotPermitted
	}
	// PR_SET_PDEATHSIG is about the thread that forked, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		// A lab whose owner was killed ends with it; as process 1 of its PID
		// namespace it takes all others along.
		Pdeathsig: syscall.SIGKILL,
		// Ctrl-C reaches the inner program once, through us.
		Setpgid: true,
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, startError(err)
	}
	done := make(chan struct{})
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		forward(cmd.Process, signals, done)
	}()
	err := cmd.Wait()
	close(done)
	<-forwarded
	return exitCode(cmd.ProcessState, err)
}

func startError(err error) error {
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w (the kernel says: %v)", ErrNotPermitted, err)
	}
	return fmt.Errorf("run again in new namespaces: %w", err)
}

// forward hands signals on until done is closed. The second one kills: whoever
// presses Ctrl-C twice does not want to wait.
func forward(p *os.Process, signals <-chan os.Signal, done <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case s := <-signals:
			if n > 0 {
				s = syscall.SIGKILL
			}
			// The only error is that it is gone, which done tells next.
			_ = p.Signal(s)
		}
	}
}

func exitCode(state *os.ProcessState, err error) (int, error) {
	if state == nil {
		return 0, fmt.Errorf("wait for the program in the lab: %w", err)
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}

// settle makes the new namespaces usable: no mount reaches the host, /proc
// shows the processes in here, and /run is ours, so that `ip netns` names and
// temporary files are seen by nobody else.
func settle() error {
	// Children must not take themselves for the inner program.
	if err := os.Unsetenv(insideVar); err != nil {
		return err
	}
	mounts := []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount on %s in the lab: %w (%w)", m.target, err, ErrNotPermitted)
		}
	}
	if err := os.Mkdir("/run/tmp", 0o711); err != nil {
		return err
	}
	if err := os.Setenv("TMPDIR", "/run/tmp"); err != nil {
		return err
	}
	return ipBatch("", "link set lo up")
}
