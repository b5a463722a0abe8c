package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"netbootd/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"netbootd": main})
}

// TestScripts runs the program as a user would: testdata/script/*.txtar check
// exit code, output and what is left behind.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: map[string]func(*testscript.TestScript, bool, []string){
		"waitfor": waitFor, "envfrom": envFrom, "remote": remote,
	}})
}

// envFrom is the command of scripts that sets a variable to the line in a file.
func envFrom(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// remote is the command of scripts that sets NETBOOTD_SERVER to where the daemon on
// a unix socket answers other hosts, and PIN to the fingerprint of its certificate.
func remote(ts *testscript.TestScript, _ bool, args []string) {
	s, err := client.New(ts.MkAbs(args[0])).Status(context.Background())
	ts.Check(err)
	for _, l := range s.Listeners {
		if l.Fingerprint != "" {
			ts.Setenv("NETBOOTD_SERVER", "https://"+l.Address)
			ts.Setenv("PIN", l.Fingerprint)
			return
		}
	}
	ts.Fatalf("other hosts are not answered")
}

// waitFor is the command of scripts that waits until something answers on a unix
// socket.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if s, err := c.Status(context.Background()); err == nil && !s.Since.IsZero() {
			return
		}
		runtime.Gosched()
	}
	ts.Fatalf("nobody answers on %s", args[0])
}

// TestCheckPrintsExactlyTheProblems runs "netbootd check" on every broken fixture
// of the configuration and compares each line.
func TestCheckPrintsExactlyTheProblems(t *testing.T) {
	t.Parallel()
	const fixtures = "../../internal/config/testdata/broken"
	files, err := filepath.Glob(fixtures + "/*.toml")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		lines, err := os.ReadFile(strings.TrimSuffix(file, ".toml") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"check", file}
		if strings.HasPrefix(name, "service-") {
			args = []string{"check", "--config", file, filepath.Join(fixtures, "../../../../examples/reference/profile.toml")}
		}
		var stdout, stderr bytes.Buffer
		code := run(args, &stdout, &stderr)
		got := strings.ReplaceAll(stdout.String(), fixtures+"/", "")
		want := strings.TrimRight(string(lines), "\n") + fmt.Sprintf("\n%d broken, 0 missing\n", countProblems(string(lines)))
		if diff := cmp.Diff(want, got); diff != "" || code != exitUsage || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, stderr %q, stdout (-want +got):\n%s", name, code, &stderr, diff)
		}
	}
}

// countProblems is how many of the lines are no hints.
func countProblems(lines string) (n int) {
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "hint: ") {
			n++
		}
	}
	return n
}

// TestCommandReference holds docs/commands.md to the commands. Write it anew with
// UPDATE=1.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString("# Commands\n\nThis page is written from the commands themselves: `UPDATE=1 go test ./cmd/netbootd`.\n\n" +
		"Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 netbootd is not running. Errors are one\nline, then lines that begin with `hint:`.\n")
	root := newRoot(new(bytes.Buffer), new(bytes.Buffer))
	for _, c := range withBelow(root) {
		writeReference(&page, c)
	}
	const file = "../../docs/commands.md"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Error("docs/commands.md (-want +got):\n", diff)
	}
}

// writeReference writes the section of one command.
func writeReference(page *strings.Builder, c *cobra.Command) {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(page, "\n## %s\n\n%s\n\n```\n%s\n", c.CommandPath(), text, c.UseLine())
	if flags := c.LocalFlags().FlagUsages(); flags != "" {
		fmt.Fprintf(page, "\n%s", flags)
	}
	page.WriteString("```\n")
}

func TestRunSaysThatItNeedsLinux(t *testing.T) {
	t.Parallel()
	if err := checkSystem("linux"); err != nil {
		t.Error(err)
	}
	for _, goos := range []string{"darwin", "windows"} {
		var stderr bytes.Buffer
		code := report(&stderr, checkSystem(goos))
		want := "netbootd: netbootd run needs Linux, and this is " + goos + "\nhint: run it on a Linux host; the other commands work here\n"
		if code != exitFailed || stderr.String() != want {
			t.Errorf("exit code %d, %q", code, &stderr)
		}
	}
}

func TestReportGivesTheExitCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code int
	}{
		"usage":          {usageError{errors.New("x")}, exitUsage},
		"configuration":  {fmt.Errorf("%w: x", errConfig), exitUsage},
		"printed before": {exitError(exitFailed), exitFailed},
		"anything else":  {context.DeadlineExceeded, exitFailed},
	} {
		if code := report(new(bytes.Buffer), c.err); code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
	}
}
