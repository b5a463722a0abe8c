package metrics

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// fed is a Metrics with one event of every kind.
func fed() *Metrics {
	m := New(Build{Version: "1.2.3", Revision: "abc", GoVersion: "go1.26"}, func() EngineStats {
		return EngineStats{ListenerUp: true, Active: 3, Retransmissions: 7}
	})
	uefi := bootmenu.Machine{MAC: bootmenu.MACFromBytes([]byte{2, 0, 0, 0, 0, 1}), Arch: bootmenu.ArchX64UEFI}
	m.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: uefi, Reply: dhcpproxy.ReplySummary{Type: "offer", Style: bootmenu.StyleBare}})
	m.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeRequest, Machine: uefi, Reply: dhcpproxy.ReplySummary{Type: "ack", Style: bootmenu.StyleBare}})
	m.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: bootmenu.Machine{Arch: bootmenu.ArchUnknown}, Reason: dhcpproxy.ReasonNotPXE})
	m.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: bootmenu.Machine{Arch: 4711}, Reason: bootmenu.ReasonNoProfile})
	m.TFTP(tftp.Transfer{Direction: tftp.Read, Result: tftp.Delivered, Label: "debian", Bytes: 1000, Duration: 20 * time.Millisecond})
	m.TFTP(tftp.Transfer{Direction: tftp.Read, Result: tftp.Aborted, Label: "debian", Bytes: 10})
	m.TFTP(tftp.Transfer{Direction: tftp.Read, Result: tftp.NotFound})
	m.Profiles(map[string]bool{"gone": true})
	m.Profiles(map[string]bool{"debian": true, "board": false})
	m.Reloaded(true, time.Unix(1700000000, 5e8))
	m.Reloaded(false, time.Unix(1800000000, 0))
	return m
}

// TestSeriesAsRendered compares everything that is ours in one scrape. Write the
// file anew with UPDATE=1.
func TestSeriesAsRendered(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	fed().Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	var ours strings.Builder
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "netbootd_") {
			ours.WriteString(line)
		}
	}
	const file = "testdata/metrics.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(ours.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), ours.String()); diff != "" {
		t.Error("series (-want +got):\n", diff)
	}
}

func TestSeriesPassTheLinter(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(fed().registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEverySeriesIsDocumented holds docs/metrics.md to the code.
func TestEverySeriesIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := fed().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "netbootd_") {
			continue
		}
		row := "| `" + name + "` | " + f.GetHelp() + " |"
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/metrics.md lacks the row\n%s", row)
		}
	}
}

// reasonConstant is the declaration of a reason for silence.
var reasonConstant = regexp.MustCompile(`Reason\w+ +(?:bootmenu\.)?Reason = "(\w+)"`)

func TestEveryReasonForSilenceIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, file := range []string{"../bootmenu/decision.go", "../dhcpproxy/answer.go"} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reasonConstant.FindAllStringSubmatch(string(src), -1) {
			reasons = append(reasons, m[1])
		}
	}
	slices.Sort(reasons)
	row := "| `outcome` | answered, or why not: " + strings.Join(reasons, ", ") + " |"
	if !strings.Contains(string(doc), row) {
		t.Errorf("docs/metrics.md lacks the row\n%s", row)
	}
}
