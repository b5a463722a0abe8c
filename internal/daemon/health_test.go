package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netbootd/bootmenu"
	"netbootd/client"
)

// efiProgram is the beginning of an EFI program for x64.
func efiProgram() []byte {
	b := make([]byte, 256)
	copy(b, "MZ")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00\x64\x86")
	return b
}

// TestFilesAreWatchedBesideTheLoop waits for what the daemon says of a file that goes
// and comes back, without a reload.
func TestFilesAreWatchedBesideTheLoop(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	putImage(t, f.opts.Settings.Images, efiProgram())
	f.start()
	reason := func() string {
		t.Helper()
		e, err := f.client.Explain(t.Context(), question())
		if err != nil {
			t.Fatal(err)
		}
		return e.Reason
	}
	if got := reason(); got != "" {
		t.Errorf("with the file: %q", got)
	}

	since := f.log.count()
	if err := os.Remove(filepath.Join(f.opts.Settings.Images, "MLO")); err != nil {
		t.Fatal(err)
	}
	if line := f.log.wait(t, since, `msg="profile is degraded"`); !strings.Contains(line, "profile=a") || !strings.Contains(line, `why="MLO is missing"`) {
		t.Error(line)
	}
	if got := reason(); got != string(bootmenu.ReasonFileMissing) {
		t.Errorf("without the file: %q", got)
	}
	s := f.status()
	if p := stateOf(t, s, "a"); !p.Degraded || strings.Join(p.Problems, "") != "MLO is missing" {
		t.Errorf("%+v", p)
	}
	if page := get(t, listenerOf(s, "metrics"), "/metrics"); !strings.Contains(page, `netbootd_profile_degraded{profile="a"} 1`) {
		t.Errorf("metrics:\n%s", page)
	}

	// A reload has nothing to say of it that was not said.
	since = f.log.count()
	f.reloadWith(Plan{Profiles: []*bootmenu.Profile{board("a")}}, nil)
	putImage(t, f.opts.Settings.Images, efiProgram())
	f.log.wait(t, since, `msg="profile is whole again" profile=a`)
	if got := f.log.since(since, "degraded"); got != "" {
		t.Errorf("told once more: %s", got)
	}
	if got := reason(); got != "" {
		t.Errorf("with the file again: %q", got)
	}

	// What has happened while a profile was stopped is told when it starts.
	if _, err := f.client.StopProfile(t.Context(), "a", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.opts.Settings.Images, "MLO")); err != nil {
		t.Fatal(err)
	}
	since = f.log.count()
	if _, err := f.client.StartProfile(t.Context(), "a", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := f.log.since(since, `msg="profile is degraded"`); !strings.Contains(got, "profile=a") {
		t.Errorf("after the start: %q", got)
	}

	// A profile that is gone leaves nothing behind.
	f.reloadWith(Plan{}, nil)
	if page := get(t, listenerOf(s, "metrics"), "/metrics"); strings.Contains(page, "netbootd_profile_degraded{") {
		t.Errorf("metrics:\n%s", page)
	}
}
