//go:build linux

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"netbootd/internal/e2e/lab"
)

// prometheusConfig scrapes netbootd often, so that the test is short.
const prometheusConfig = `global:
  scrape_interval: 1s
scrape_configs:
  - job_name: netbootd
    static_configs:
      - targets: ["127.0.0.1:9469"]
`

// prometheusProgram is where packages.sh unpacks Debian's package.
func prometheusProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../build/pkg/prometheus/usr/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrometheusScrapesNetbootd(t *testing.T) {
	program := prometheusProgram(t, "prometheus")
	need(t, program)
	ctx, s := newAnsweringServer(t)
	config := filepath.Join(s.dir, "prometheus.yml")
	writeFile(t, config, prometheusConfig)
	p, err := s.net.Start(lab.BootPlace, program, "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(s.dir, "prometheus"), "--web.listen-address=127.0.0.1:9090")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	for _, query := range []string{`up{job="netbootd"} == 1`, `netbootd_build_info == 1`} {
		waitForSample(ctx, t, s, query)
	}
}

// waitForSample asks Prometheus until a query has a result.
func waitForSample(ctx context.Context, t *testing.T, s *server, query string) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := s.net.Get(ctx, lab.BootPlace, "http://127.0.0.1:9090/api/v1/query?query="+url.QueryEscape(query))
		var answer struct {
			Data struct{ Result []json.RawMessage }
		}
		// Until Prometheus listens there is an error; the deadline tells.
		if err == nil && json.Unmarshal(out, &answer) == nil && len(answer.Data.Result) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("prometheus has no sample for %s; it last said: %s, %v", query, out, err)
		}
	}
}

func TestPromtoolHasNoComplaint(t *testing.T) {
	promtool := prometheusProgram(t, "promtool")
	need(t, promtool)
	ctx, s := newAnsweringServer(t)
	page, err := s.net.Get(ctx, lab.BootPlace, metricsURL)
	if err != nil {
		t.Fatal(err)
	}
	check := s.net.Command(ctx, lab.BootPlace, promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s\nin:\n%s", err, out, page)
	}
}
