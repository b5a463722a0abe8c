//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netbootd/internal/e2e/lab"
)

// asNobody is a command line that gives up root, all but the capabilities named.
func asNobody(capabilities string) []string {
	return []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + capabilities, "--ambient-caps=" + capabilities, "--bounding-set=" + capabilities}
}

// newNobodysServer is a netbootd whose files belong to an ordinary user.
func newNobodysServer(t *testing.T, n *lab.Network, capabilities string) *server {
	t.Helper()
	need(t, "setpriv", "curl")
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	// The program too: where it was built may be closed to others.
	program := filepath.Join(s.dir, "netbootd")
	copyFile(t, netbootd, program)
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, 65534, 65534)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.program = append(asNobody(capabilities), program)
	return s
}

func TestWithoutRootItSaysWhatItNeeds(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newNobodysServer(t, n, "-all")
	text := startMustFail(ctx, t, s)
	if !regexp.MustCompile(`cannot listen on 0\.0\.0\.0:69/udp: permission denied`).MatchString(text) ||
		!regexp.MustCompile(`(?m)^hint: run netbootd as root, or .*cap_net_bind_service`).MatchString(text) {
		t.Errorf("no word of what it needs in:\n%s", text)
	}
}

func TestOneCapabilityIsEnough(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newNobodysServer(t, n, "-all,+net_bind_service")
	s.start(ctx, t)
	if code, out := inClient(ctx, t, s, "curl", "--silent", "--show-error", tftpURL("hello.ipxe")); code != 0 || string(out) != "#!ipxe\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if st := s.status(ctx, t); st.profileState("pxe") != "started" {
		t.Errorf("status %+v", st)
	}
}

func TestSimulationWithoutRootSaysWhatItNeeds(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newNobodysServer(t, n, "-all")
	p, err := n.Start(lab.ClientPlace, s.program[0], append(s.program[1:], "simulate", "--client", "bios")...)
	if err != nil {
		t.Fatal(err)
	}
	code, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := "netbootd: cannot open a packet socket: operation not permitted\nhint: run this as root, or with CAP_NET_RAW"
	if text := strings.Join(p.Stderr.Lines(), "\n"); code != 1 || text != want {
		t.Errorf("exit code %d, want 1, and:\n%s\nwant:\n%s", code, text, want)
	}
}
