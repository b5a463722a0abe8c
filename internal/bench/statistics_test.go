//go:build linux

package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"netbootd/internal/bench/load"
)

// fetched is a measurement of 2 clients that got n bytes a second, both of them
// unless one failed.
func fetched(n int64, cpu time.Duration, failures int) measurement {
	m := measurement{cpu: cpu, Result: load.Result{Clients: 2, Bytes: n, Elapsed: time.Second}}
	for i := range m.Clients - failures {
		m.Times = append(m.Times, time.Duration(i+1)*time.Millisecond)
	}
	return m
}

func testReport() *report {
	return &report{
		peers: []string{"slow", "fast", "fastest but failing", "dead"},
		rounds: map[string][]measurement{
			netbootd:              {fetched(1000, time.Second, 0), fetched(100, time.Second, 0), fetched(3000, time.Second, 0)},
			"slow":                {fetched(100, time.Second, 0), fetched(10, time.Second, 0), fetched(100, time.Second, 0)},
			"fast":                {fetched(500, time.Second, 0), fetched(50, time.Second, 0), fetched(500, time.Second, 0)},
			"fastest but failing": {fetched(900, time.Second, 1), fetched(900, time.Second, 1), fetched(900, time.Second, 1)},
			"dead":                {{why: "the server died"}, {why: "the server died"}, {why: "the server died"}},
		},
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list []float64
		want value
	}{
		{nil, value{}},
		{[]float64{3}, value{3, true}},
		{[]float64{9, 1, 3}, value{3, true}},
		{[]float64{9, 1, 3, 4}, value{3.5, true}},
	} {
		if got := median(c.list); got != c.want {
			t.Errorf("%v: got %v, want %v", c.list, got, c.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := testReport()
	for _, c := range []struct {
		name  string
		bar   bar
		other string
		ratio float64
		met   bool
	}{
		// The middle one of 1000/500, 100/50 and 3000/500, not 1000/500 of medians.
		{"the best peer fails nobody", bar{rate, bestPeer, 2}, "fast", 2, true},
		{"a rate below the limit", bar{rate, bestPeer, 2.1}, "fast", 2, false},
		{"processor time is that of the fastest peer", bar{cpu, bestPeer, 0.6}, "fast", 0.5, true},
		{"processor time above the limit", bar{cpu, "slow", 0.05}, "slow", 0.1, false},
		{"an absolute limit", bar{failed, nobody, 0}, "", 0, true},
		{"a dead server has no value", bar{rate, "dead", 1}, "dead", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := r.judge(c.bar)
			if v.other != c.other || math.Abs(v.ratio.x-c.ratio) > 1e-9 || v.isMet() != c.met {
				t.Errorf("got %s, ratio %v, met %t, want %s, %v, %t", v.other, v.ratio, v.isMet(), c.other, c.ratio, c.met)
			}
		})
	}
}

func TestScenariosAreComplete(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range append(scenarios(false), scenarios(true)...) {
		hasLoad := s.job.Clients > 0 && s.job.Size > 0 || s.discover != nil && s.discover.Clients > 0
		if len(s.bars) == 0 || s.title == "" || !hasLoad {
			t.Errorf("%s lacks something: %+v", s.name, s)
		}
		seen[s.name] = true
	}
	if len(seen) != len(scenarios(false)) {
		t.Error("two scenarios have the same name")
	}
}

func TestResultsAreWrittenBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(file, []byte("before\n"+beginMarker+"old\n"+endMarker+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := writeBetweenMarkers(file, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + beginMarker + "\nnew\n\n" + endMarker + "after\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.WriteFile(file, []byte("no markers"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeBetweenMarkers(file, "new"); err == nil {
		t.Error("a file without markers was written to")
	}
}

func TestTheDocumentHasTheMarkers(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeBetweenMarkers(file, "new"); err != nil {
		t.Error(err)
	}
}
