package load_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"netbootd/internal/bench/load"
	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// size of the file; the last block is a short one.
const size = 100_000

// serve starts a server of this module and returns a job for it.
func serve(t *testing.T, data []byte) load.Job {
	t.Helper()
	s, err := tftp.Listen(tftp.Options{
		Listen: "127.0.0.1:0", Opener: tftptest.Files{"file": data},
		MaxTransfers: 1000, MaxPerClient: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // whatever is left is cut
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return load.Job{Server: s.Addrs()[0], File: "file", Size: size, Clients: 50, Blksize: 1428, Seed: 1, Timeout: 100 * time.Millisecond}
}

func content(t *testing.T, p *load.Pattern) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteFile(&b, size); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRun(t *testing.T) {
	t.Parallel()
	p := load.NewPattern()
	for _, c := range []struct {
		name string
		set  func(*load.Job)
	}{
		{"lockstep", func(*load.Job) {}},
		{"windows", func(j *load.Job) { j.Windowsize = 16 }},
		{"5 % loss each way", func(j *load.Job) { j.Loss = 0.05 }},
		{"windows with 5 % loss each way", func(j *load.Job) { j.Loss, j.Windowsize = 0.05, 16 }},
		{"a round trip of 2 ms and arrivals over 50 ms", func(j *load.Job) { j.RTT, j.Over = 2*time.Millisecond, 50*time.Millisecond }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := serve(t, content(t, p))
			c.set(&job)
			r, err := load.Run(t.Context(), job, p)
			if err != nil {
				t.Fatal(err)
			}
			if r.Failed() != 0 || r.Bytes != int64(job.Clients)*size {
				t.Errorf("got %d bytes and failures %v, want none", r.Bytes, r.Failures)
			}
			if r.Blksize != job.Blksize || r.Windowsize != max(job.Windowsize, 1) {
				t.Errorf("got blksize %d and windowsize %d, want those asked for", r.Blksize, r.Windowsize)
			}
			if r.Percentile(0) < job.RTT*(size/1428) || r.CPU <= 0 {
				t.Errorf("got a transfer in %v with %v of processor time", r.Percentile(0), r.CPU)
			}
		})
	}
}

func TestRunHolds(t *testing.T) {
	t.Parallel()
	p := load.NewPattern()
	job := serve(t, content(t, p))
	held := 0
	job.Hold = func(open int) { held += open }
	r, err := load.Run(t.Context(), job, p)
	if err != nil {
		t.Fatal(err)
	}
	if held != job.Clients || r.Failed() != 0 {
		t.Errorf("got %d clients held and failures %v, want all and none", held, r.Failures)
	}
}

func TestRunTellsOfFailures(t *testing.T) {
	t.Parallel()
	p := load.NewPattern()
	for _, c := range []struct {
		name, want string
		spoil      func([]byte) // before it is served
		set        func(*load.Job)
	}{
		{"no such file", "ERROR 1", nil, func(j *load.Job) { j.File = "other" }},
		{"one wrong byte", "wrong bytes", func(data []byte) { data[size-1]++ }, func(*load.Job) {}},
		{"nothing gets through", "no answer", nil, func(j *load.Job) { j.Loss, j.Tries, j.Timeout = 1, 2, time.Millisecond }},
		{"the bound", "not done in time", nil, func(j *load.Job) { j.RTT, j.Bound = time.Minute, 10*time.Millisecond }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := content(t, p)
			if c.spoil != nil {
				c.spoil(data)
			}
			job := serve(t, data)
			c.set(&job)
			r, err := load.Run(t.Context(), job, p)
			if err != nil {
				t.Fatal(err)
			}
			for why, n := range r.Failures {
				if !strings.Contains(why, c.want) || n != job.Clients {
					t.Errorf("%d clients failed with %q, want %q", n, why, c.want)
				}
			}
			if r.Failed() != job.Clients {
				t.Errorf("got %d failures, want %d", r.Failed(), job.Clients)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := load.NewPattern()
	job := serve(t, content(t, p))
	job.Loss = 1
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load.Run(ctx, job, p); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}
