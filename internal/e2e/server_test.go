//go:build linux

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netbootd/internal/e2e/lab"
)

// metricsURL is where netbootd serves its metrics in every test.
const metricsURL = "http://127.0.0.1:9469/metrics"

// A server is a netbootd at the boot place of a network, with files of its own.
type server struct {
	net    *lab.Network
	dir    string // holds everything below
	images string
	config string
	// program is the command line that runs netbootd, without its arguments.
	program []string
	proc    *lab.Process
}

// newServer writes a configuration and the given profiles, by name.
func newServer(t *testing.T, n *lab.Network, profiles map[string]string) *server {
	t.Helper()
	// t.TempDir would do, but with the test's name in it the path of the
	// control socket gets longer than the 107 bytes that the kernel allows.
	dir, err := os.MkdirTemp("", "netbootd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{
		net:    n,
		dir:    dir,
		images: filepath.Join(dir, "images"),
		config: filepath.Join(dir, "netbootd.toml"),

		program: []string{netbootd},
	}
	for _, d := range []string{"images", "profiles.d"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.configure(t, "eth0")
	for name, text := range profiles {
		s.writeProfile(t, name, text)
	}
	return s
}

func (s *server) configure(t *testing.T, iface string) {
	t.Helper()
	writeFile(t, s.config, s.settings(iface))
}

// settings is the text of a netbootd.toml that serves an interface. Tables may
// follow it.
func (s *server) settings(iface string) string {
	return fmt.Sprintf("interfaces = [%q]\n%s", iface, commonSettings)
}

// commonSettings leave the choice of the interfaces to netbootd.
const commonSettings = `profiles   = "profiles.d"
images     = "images"
state      = "state"
[control]
socket = "control.sock"
[metrics]
listen = "127.0.0.1:9469"
`

func (s *server) writeProfile(t *testing.T, name, text string) {
	t.Helper()
	writeFile(t, filepath.Join(s.dir, "profiles.d", name+".toml"), text)
}

// link makes an existing file part of the images without copying it.
func (s *server) link(t *testing.T, file, name string) {
	t.Helper()
	target := filepath.Join(s.images, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.Link(file, target))
	if err != nil {
		t.Fatal(err)
	}
}

// start runs netbootd and returns when it is ready.
func (s *server) start(ctx context.Context, t *testing.T) {
	t.Helper()
	s.launch(t)
	if err := s.waitReady(ctx); err != nil {
		t.Fatalf("netbootd does not become ready: %v", err)
	}
}

func (s *server) waitReady(ctx context.Context) error {
	return s.proc.Guard(ctx, func(ctx context.Context) error {
		_, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(`\bready\b`))
		return err
	})
}

// launch runs netbootd. What it logged is shown if the test fails.
func (s *server) launch(t *testing.T) {
	t.Helper()
	args := append(s.program[1:len(s.program):len(s.program)], "run", "--config", s.config)
	p, err := s.net.Start(lab.BootPlace, s.program[0], args...)
	if err != nil {
		t.Fatal(err)
	}
	s.proc = p
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Log(p.Output())
		}
	})
}

// command prepares a netbootd subcommand beside the running one.
func (s *server) command(ctx context.Context, args ...string) *exec.Cmd {
	return s.net.Command(ctx, lab.BootPlace, netbootd, append(args, "--config", s.config)...)
}

// A status is the part of `netbootd status --json` that the tests look at.
type status struct {
	Listeners  []struct{ Service, Network, Address, Beside string }
	Interfaces []struct {
		Name      string
		Addresses []string
		Served    bool
	}
	Profiles  []struct{ Name, State string }
	Transfers []struct{ File string }
}

func (s *server) status(ctx context.Context, t *testing.T) status {
	t.Helper()
	var errs strings.Builder
	cmd := s.command(ctx, "status", "--json")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("netbootd status: %v\n%s", err, &errs)
	}
	var st status
	if err := json.Unmarshal(out, &st); err != nil {
		t.Fatalf("netbootd status --json: %v in:\n%s", err, out)
	}
	return st
}

// profileState is a profile's state, or "" if netbootd does not know it.
func (st status) profileState(name string) string {
	for _, p := range st.Profiles {
		if p.Name == name {
			return p.State
		}
	}
	return ""
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
