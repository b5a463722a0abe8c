//go:build linux

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"netbootd/internal/e2e/lab"
)

// bound ends a test in which something hangs. It is far above what any case
// needs, because it must hold on a slow and busy machine too.
const bound = 4 * time.Minute

// These are set once, before the tests run.
var (
	netbootd   string // path of the program under test
	whySkipped string // why the lab cannot be had, empty if it can
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("NETBOOTD_E2E") == "" {
		whySkipped = "set NETBOOTD_E2E=1 (make e2e) to run the tests with real firmware"
		return m.Run()
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// prepare finds netbootd and enters the lab.
func prepare() error {
	bin := os.Getenv("NETBOOTD_BIN")
	if bin == "" {
		return errors.New("NETBOOTD_BIN names no netbootd to test; make e2e builds one and sets it")
	}
	var err error
	if netbootd, err = filepath.Abs(bin); err != nil {
		return err
	}
	err = lab.Enter()
	if errors.Is(err, lab.ErrNotPermitted) && os.Getenv("CI") != "true" {
		whySkipped = err.Error()
		return nil
	}
	return err
}

var networks atomic.Int32

// newNetwork makes a network for one test, or skips the test if there is no
// lab. All tests that have one run in parallel, as many at a time as there are
// processors: an emulated PC keeps one busy.
func newNetwork(t *testing.T) (context.Context, *lab.Network) {
	t.Helper()
	if whySkipped != "" {
		t.Skip(whySkipped)
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	n, err := lab.NewNetwork(ctx, fmt.Sprintf("t%d", networks.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("take the network down: %v", err)
		}
	})
	return ctx, n
}

// need skips the test if a program or file is missing; in CI it fails.
func need(t *testing.T, names ...string) {
	t.Helper()
	skipWithout(t, lab.Require(names...))
}

// needPCs is need for virtual PCs and the site's servers.
func needPCs(t *testing.T) {
	t.Helper()
	skipWithout(t, lab.RequirePCs())
}

func skipWithout(t *testing.T, missing error) {
	t.Helper()
	switch {
	case whySkipped != "":
		t.Skip(whySkipped)
	case missing == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}
