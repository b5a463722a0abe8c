//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A Process is a program that the lab started and owns.
type Process struct {
	// Name is the program's name, for messages.
	Name string
	// Stdout and Stderr keep what it has printed.
	Stdout, Stderr *Transcript

	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone and its output is read
	err  error         // of Wait; read after done
}

// Options say what to do with a program's output.
type Options struct {
	// Name is for messages; default the path of the executable.
	Name string
	// OnStdout and OnStderr, if not nil, are called with each line as it ends.
	OnStdout, OnStderr func(string)
}

func startProcess(cmd *exec.Cmd, o Options) (*Process, error) {
	if o.Name == "" {
		o.Name = cmd.Path
	}
	p := &Process{
		Name:   o.Name,
		Stdout: NewTranscript(o.OnStdout),
		Stderr: NewTranscript(o.OnStderr),
		cmd:    cmd,
		done:   make(chan struct{}),
	}
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	cmd.WaitDelay = stopGrace
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		p.Stdout.Close()
		p.Stderr.Close()
	}()
	return p, nil
}

// PID is the program's process number inside the lab.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal; a program that is gone is no error.
func (p *Process) Signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Wait blocks until the program has ended and returns its exit code, or 128 and
// the signal's number. The error is ctx's.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("%s still runs: %w\n%s", p.Name, ctx.Err(), p.Output())
	}
	return exitCode(p.cmd.ProcessState, p.err)
}

// Stop ends the program: SIGTERM, after a grace of five seconds SIGKILL. It
// returns when the program is gone and may be called more than once.
func (p *Process) Stop() {
	_ = p.Signal(syscall.SIGTERM)
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
	case <-grace.C:
		_ = p.Signal(syscall.SIGKILL)
		<-p.done
	}
}

// Output is the end of what the program printed, for a failure's message.
func (p *Process) Output() string {
	const lines = 40
	return fmt.Sprintf("--- %s, standard output ---\n%s\n--- %s, standard error ---\n%s",
		p.Name, p.Stdout.Tail(lines), p.Name, p.Stderr.Tail(lines))
}

// Guard runs wait with a context that ends early when the program does, so that
// a server that died is told as such and not as a timeout.
func (p *Process) Guard(ctx context.Context, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-p.done:
			cancel(p.ended())
		case <-stop:
		}
	}()
	err := wait(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrEnded) {
		return cause
	}
	return err
}

// ended describes the end of a program that should run; call it after done.
func (p *Process) ended() error {
	code, err := exitCode(p.cmd.ProcessState, p.err)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrEnded, p.Name, err)
	}
	return fmt.Errorf("%w: %s, with exit code %d", ErrEnded, p.Name, code)
}
