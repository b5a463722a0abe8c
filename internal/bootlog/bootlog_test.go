package bootlog

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

var (
	mac  = bootmenu.MACFromBytes([]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56})
	addr = netip.MustParseAddr("198.18.0.50")
)

// newLog is a Log whose lines, without their time, are in the Builder.
func newLog() (*Log, *strings.Builder) {
	var lines strings.Builder
	h := slog.NewTextHandler(&lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return New(Options{Logger: slog.New(h), MAC: func(a netip.Addr) (bootmenu.MAC, bool) { return mac, a == addr }}), &lines
}

func TestOneLineForEachThingThatAPersonWouldAsk(t *testing.T) {
	t.Parallel()
	pc := bootmenu.Machine{MAC: mac, Arch: bootmenu.ArchX64UEFI, Interface: "eth0"}
	ipxe := pc
	ipxe.IPXE = true
	offer := dhcpproxy.ReplySummary{Type: "offer", Style: bootmenu.StyleBare, File: "snponly.efi", Server: netip.MustParseAddr("198.18.0.2")}
	client := netip.AddrPortFrom(addr, 2000)
	l, lines := newLog()
	l.DHCP(dhcpproxy.Event{Machine: pc, Decision: bootmenu.Decision{Profile: "debian"}, Reply: offer})
	l.DHCP(dhcpproxy.Event{Machine: ipxe, Reply: offer})
	l.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: pc, Reason: bootmenu.ReasonNoProfile, Why: "none of 2"})
	l.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: pc, Reason: bootmenu.ReasonNoLoader, Why: "no iPXE"})
	l.DHCP(dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: pc, Reason: dhcpproxy.ReasonNotPXE}) // normal silence
	l.TFTP(tftp.Transfer{Result: tftp.Delivered, Client: client, File: "linux", Label: "debian", Bytes: 5, Duration: 1500 * time.Microsecond, Blksize: 1468, Windowsize: 4})
	l.TFTP(tftp.Transfer{Result: tftp.Delivered, Direction: tftp.Write, Client: client, File: "logs/dmesg", Bytes: 9, Blksize: 512, Windowsize: 1})
	l.TFTP(tftp.Transfer{Result: tftp.Probe, Client: client, File: "linux"}) // normal
	l.TFTP(tftp.Transfer{Result: tftp.NotFound, Client: netip.MustParseAddrPort("198.18.0.99:2000"), File: "nope"})
	l.TFTP(tftp.Transfer{Result: tftp.Failed, Client: client, File: "linux", Err: errors.New("the client fell silent")})
	want := `level=INFO msg="OFFER sent" mac=52:54:00:12:34:56 arch=x64-uefi profile=debian file=snponly.efi style=bare server=198.18.0.2 interface=eth0
level=INFO msg="OFFER sent" mac=52:54:00:12:34:56 arch=x64-uefi ipxe=true profile=(menu) file=snponly.efi style=bare server=198.18.0.2 interface=eth0
level=INFO msg="no answer to DISCOVER" mac=52:54:00:12:34:56 arch=x64-uefi reason=no_profile why="none of 2"
level=WARN msg="no answer to DISCOVER" mac=52:54:00:12:34:56 arch=x64-uefi reason=no_loader why="no iPXE"
level=INFO msg="file delivered" client=198.18.0.50 mac=52:54:00:12:34:56 file=linux profile=debian bytes=5 took=2ms blksize=1468 windowsize=4 resent=0
level=INFO msg="file written" client=198.18.0.50 mac=52:54:00:12:34:56 file=logs/dmesg bytes=9 took=0s blksize=512 windowsize=1 resent=0
level=INFO msg="file not found" client=198.18.0.99 mac=unknown file=nope
level=WARN msg="transfer failed" client=198.18.0.50 mac=52:54:00:12:34:56 file=linux why="the client fell silent"
`
	if diff := cmp.Diff(want, lines.String()); diff != "" {
		t.Error("lines (-want +got):\n", diff)
	}
}

func TestTheSameSilenceIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	l, lines := newLog()
	start := time.Unix(1e9, 0)
	ask := func(after time.Duration, r bootmenu.Reason) {
		l.DHCP(dhcpproxy.Event{Time: start.Add(after), Type: dhcpproxy.TypeDiscover, Machine: bootmenu.Machine{MAC: mac}, Reason: r})
	}
	ask(0, bootmenu.ReasonNoProfile)
	ask(4*time.Second, bootmenu.ReasonNoProfile)
	ask(5*time.Second, dhcpproxy.ReasonHTTPClient)
	ask(59*time.Second, bootmenu.ReasonNoProfile)
	ask(61*time.Second, bootmenu.ReasonNoProfile)
	if n := strings.Count(lines.String(), "no_profile"); n != 2 {
		t.Errorf("no_profile was told %d times, want 2:\n%s", n, lines)
	}
	if n := strings.Count(lines.String(), "http_client"); n != 1 {
		t.Errorf("http_client was told %d times, want 1", n)
	}
}

func TestAFloodIsToldInOneLine(t *testing.T) {
	t.Parallel()
	l, lines := newLog()
	for n := range byte(100) {
		l.DHCP(dhcpproxy.Event{
			Time: time.Unix(1e9, 0), Type: dhcpproxy.TypeDiscover, Reason: dhcpproxy.ReasonRateLimited,
			Machine: bootmenu.Machine{MAC: bootmenu.MACFromBytes([]byte{2, 0, 0, 0, 0, n})},
		})
	}
	if n := strings.Count(lines.String(), "level=WARN"); n != 1 {
		t.Errorf("%d lines:\n%s", n, lines)
	}
}

func TestNormalSilenceCostsNoMemory(t *testing.T) {
	l, lines := newLog()
	e := dhcpproxy.Event{Type: dhcpproxy.TypeDiscover, Machine: bootmenu.Machine{MAC: mac}, Reason: dhcpproxy.ReasonNotPXE, Why: "not a PXE client"}
	if n := testing.AllocsPerRun(100, func() { l.DHCP(e) }); n != 0 || lines.Len() > 0 {
		t.Errorf("%v allocations, %q", n, lines)
	}
}
