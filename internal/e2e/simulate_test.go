//go:build linux

package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// A simulation is what `netbootd simulate --json` says, as far as the tests look.
type simulation struct {
	Address  string
	Leased   bool
	Offers   []struct{ Server, Use string }
	File     struct{ SHA256 string } `json:"boot_file"`
	Boots    bool
	Step     string
	Text     string
	Warnings []string
}

// simulate plays a client at a place and returns what was found, and the exit
// code.
func simulate(ctx context.Context, t *testing.T, n *lab.Network, at lab.Place, client string, args ...string) (simulation, int) {
	t.Helper()
	p, err := n.Start(at, netbootd, append([]string{"simulate", "--json", "--client", client}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	code, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var s simulation
	if err := json.Unmarshal([]byte(strings.Join(p.Stdout.Lines(), "\n")), &s); err != nil {
		t.Fatalf("netbootd simulate, exit code %d: %v\n%s", code, err, p.Output())
	}
	return s, code
}

// mustBoot plays a client that must boot from that file.
func mustBoot(ctx context.Context, t *testing.T, n *lab.Network, at lab.Place, file, client string, args ...string) simulation {
	t.Helper()
	s, code := simulate(ctx, t, n, at, client, args...)
	if !s.Boots || code != 0 {
		t.Fatalf("exit code %d: %s: %s", code, s.Step, s.Text)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(content); s.File.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("sha256 is %s, want that of %s", s.File.SHA256, file)
	}
	return s
}

// efiProgram is the least that firmware takes for an EFI program of a machine
// type.
func efiProgram(machine uint16) string {
	b := make([]byte, 128)
	copy(b, "MZ")
	b[0x3c] = 64
	copy(b[64:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[68:], machine)
	return string(b)
}

// Profiles for every client that netbootd answers.
var simulatedProfiles = map[string]string{
	"pcs": `[match]
all = true
[arch.x86-bios]
boot_file = "loader.0"
[arch.x86-uefi]
boot_file = "ia32.efi"
[arch.x64-uefi]
boot_file = "x64.efi"
[arch.arm64-uefi]
boot_file = "arm64.efi"
[arch.riscv64-uefi]
boot_file = "riscv64.efi"
[ipxe]
boot_file = "hello.ipxe"
`,
	"pis": `root = "pi"
[match]
arch = ["rpi"]
`,
	"boards": `boot_file = "boot.scr"
[match]
vendor_class = ["U-Boot*"]
`,
}

// simulatedFiles are what they name.
var simulatedFiles = map[string]string{
	"loader.0":    "\xeb\xfe a boot loader",
	"ia32.efi":    efiProgram(0x014c),
	"x64.efi":     efiProgram(0x8664),
	"arm64.efi":   efiProgram(0xaa64),
	"riscv64.efi": efiProgram(0x5064),
	"hello.ipxe":  "#!ipxe\n",
	"start4.elf":  "a Raspberry Pi's firmware",
	"boot.scr":    strings.Repeat("a script for a board\n", 1000),
}

// newSimulated is a network with a site's dnsmasq and a netbootd that runs.
func newSimulated(t *testing.T, profiles map[string]string) (context.Context, *server, *lab.Site) {
	t.Helper()
	need(t, "dnsmasq")
	ctx, n := newNetwork(t)
	site, err := n.StartSite(ctx, lab.Dnsmasq, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, n, profiles)
	writeFile(t, s.config, s.settings("eth0")+"[dhcp]\nrelays = [\"198.18.0.3/32\"]\n")
	for name, content := range simulatedFiles {
		writeFile(t, filepath.Join(s.images, name), content)
	}
	root := filepath.Join(s.images, "pi")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "start4.elf"), "the firmware that the Pis have in their root")
	s.start(ctx, t)
	return ctx, s, site
}

func TestSimulatedClientsBoot(t *testing.T) {
	ctx, s, site := newSimulated(t, simulatedProfiles)
	for client, file := range map[string]string{
		"bios":         "loader.0",
		"uefi-x86":     "ia32.efi",
		"uefi-x64":     "x64.efi",
		"uefi-arm64":   "arm64.efi",
		"uefi-riscv64": "riscv64.efi",
		"ipxe":         "hello.ipxe",
		"ipxe-x64":     "hello.ipxe",
		"rpi4":         "pi/start4.elf",
		"uboot":        "boot.scr",
	} {
		got := mustBoot(ctx, t, s.net, lab.ClientPlace, filepath.Join(s.images, file), client)
		if got.Leased || got.Address != lab.ClientAddr.String() {
			t.Errorf("%s took the lease of %s", client, got.Address)
		}
	}
	for _, line := range site.DHCP.Stderr.Lines() {
		if strings.Contains(line, "DHCPREQUEST") {
			t.Errorf("a lease was asked for: %s", line)
		}
	}
}

func TestSimulationLeasesReleasesAndRelays(t *testing.T) {
	ctx, s, site := newSimulated(t, simulatedProfiles)
	x64 := filepath.Join(s.images, "x64.efi")
	leased := mustBoot(ctx, t, s.net, lab.ClientPlace, x64, "uefi-x64", "--lease", "--mac", "52:54:00:00:00:21")
	if _, err := site.DHCP.Stderr.WaitFor(ctx, regexp.MustCompile(`DHCPRELEASE\(eth0\) `+regexp.QuoteMeta(leased.Address)+` 52:54:00:00:00:21`)); err != nil {
		t.Error(err)
	}
	mustBeGone(ctx, t, s.net, leased.Address)
	delivered := regexp.MustCompile(`file delivered.* client=` + regexp.QuoteMeta(leased.Address) + ` mac=52:54:00:00:00:21 file=x64\.efi`)
	if _, err := s.proc.Stderr.WaitFor(ctx, delivered); err != nil {
		t.Error(err)
	}
	mustBoot(ctx, t, s.net, lab.ClientPlace, x64, "uefi-x64", "--relay", lab.SiteAddr.String(), "--relay", lab.BootAddr.String())
	// On the server's own host it is the server's answer too.
	mustBoot(ctx, t, s.net, lab.BootPlace, x64, "uefi-x64")
}

func TestInterruptedSimulationReleasesItsLease(t *testing.T) {
	ctx, n := newNetwork(t)
	need(t, "dnsmasq")
	site, err := n.StartSite(ctx, lab.Dnsmasq, nil)
	if err != nil {
		t.Fatal(err)
	}
	offerOnly(t, n, netip.MustParseAddr("198.18.0.77")) // which takes seconds to be found missing
	p, err := n.Start(lab.ClientPlace, netbootd, "simulate", "--client", "uefi-x64", "--lease")
	if err != nil {
		t.Fatal(err)
	}
	ack, err := site.DHCP.Stderr.WaitFor(ctx, regexp.MustCompile(`DHCPACK\(eth0\) (\S+) `))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(ctx); code != 1 || err != nil || p.Stderr.Tail(1) != "netbootd: interrupted" {
		t.Errorf("exit code %d, want 1; %v\n%s", code, err, p.Output())
	}
	if _, err := site.DHCP.Stderr.WaitFor(ctx, regexp.MustCompile(`DHCPRELEASE\(eth0\) `+regexp.QuoteMeta(ack[1])+` `)); err != nil {
		t.Error(err)
	}
	mustBeGone(ctx, t, n, ack[1])
}

// mustBeGone checks that the client place has not kept a leased address.
func mustBeGone(ctx context.Context, t *testing.T, n *lab.Network, address string) {
	t.Helper()
	out, err := n.Command(ctx, lab.ClientPlace, "ip", "-4", "addr", "show", "dev", "eth0").Output()
	if err != nil || strings.Contains(string(out), address+"/") {
		t.Errorf("the address %s is left on the interface: %v\n%s", address, err, out)
	}
}

// startDnsmasq runs a dnsmasq that is no site's ordinary one.
func startDnsmasq(ctx context.Context, t *testing.T, n *lab.Network, at lab.Place, args ...string) {
	t.Helper()
	args = append([]string{"--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root", "--pid-file=", "--port=0",
		"--interface=eth0", "--log-dhcp", "--no-ping", "--dhcp-leasefile=" + filepath.Join(t.TempDir(), "leases")}, args...)
	p, err := n.Start(at, "dnsmasq", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	err = p.Guard(ctx, func(ctx context.Context) error { return n.WaitUDP(ctx, at, dhcpServerPort, true) })
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Output())
	}
}

// These play clients against a server that is not ours, for whatever answers on
// the wire is judged alike.

func TestSimulationAgainstDnsmasqThatBoots(t *testing.T) {
	need(t, "dnsmasq", "busybox")
	ctx, n := newNetwork(t)
	dir := simulatedDir(t)
	startDnsmasq(ctx, t, n, lab.SitePlace, leasing,
		"--enable-tftp", "--tftp-root="+dir, "--dhcp-boot=x64.efi",
		"--dhcp-vendorclass=set:http,HTTPClient", "--dhcp-option-force=tag:http,60,HTTPClient", "--dhcp-boot=tag:http,http://198.18.0.1:8080/x64.efi")
	if _, err := n.Start(lab.SitePlace, "busybox", "httpd", "-f", "-p", "198.18.0.1:8080", "-h", dir); err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"uefi-x64", "uefi-http"} {
		mustBoot(ctx, t, n, lab.ClientPlace, filepath.Join(dir, "x64.efi"), client)
	}
}

func TestSimulationAgainstDnsmasqWithPXEMenus(t *testing.T) {
	need(t, "dnsmasq")
	ctx, n := newNetwork(t)
	dir := simulatedDir(t)
	startDnsmasq(ctx, t, n, lab.SitePlace, leasing, "--enable-tftp", "--tftp-root="+dir,
		"--dhcp-mac=set:rpi,dc:a6:32:*:*:*", "--pxe-service=tag:rpi,x86PC,Raspberry Pi Boot",
		// Its items are asked for on port 4011.
		"--pxe-service=tag:!rpi,x86PC,first,loader.0", "--pxe-service=tag:!rpi,x86PC,second,other.0")
	loader := filepath.Join(dir, "loader.0")
	mustBoot(ctx, t, n, lab.ClientPlace, loader, "bios")
	mustBoot(ctx, t, n, lab.ClientPlace, loader, "ipxe")
	mustBoot(ctx, t, n, lab.ClientPlace, filepath.Join(dir, "start4.elf"), "rpi4", "--mac", "dc:a6:32:00:00:21")
}

// leasing is the argument with which dnsmasq leases addresses.
const leasing = "--dhcp-range=198.18.0.50,198.18.0.150,255.255.255.0,1h"

// simulatedDir is a directory with the boot files of every client.
func simulatedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range simulatedFiles {
		writeFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

// The networks below are wrong on purpose, each in one way, and simulate must
// find exactly that.

// A machine gets silence rather than a dead boot file, until the file is there.
func TestSimulationFindsTheSilenceInsteadOfADeadBootFile(t *testing.T) {
	ctx, s, _ := newSimulated(t, map[string]string{
		"missing": "boot_file = \"missing.efi\"\n[match]\nmac = [\"52:54:00:00:00:31\"]\n",
		"wrong":   "boot_file = \"x64.efi\"\n[match]\nmac = [\"52:54:00:00:00:32\"]\n",
	})
	logged := func(pattern string) {
		t.Helper()
		if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(pattern)); err != nil {
			t.Fatal(err)
		}
	}
	const silence = "nobody says what to boot: 198.18.0.1 offers an address and no boot file, and no ProxyDHCP server answers "
	mustFind(ctx, t, s.net, "offer", silence+"uefi-x64", "uefi-x64", "--mac", "52:54:00:00:00:31")
	logged(`mac=52:54:00:00:00:31 .*reason=file_missing why="[^"]*; but profile missing: missing\.efi is missing"`)
	mustFind(ctx, t, s.net, "offer", silence+"uefi-x86", "uefi-x86", "--mac", "52:54:00:00:00:32")
	logged(`mac=52:54:00:00:00:32 .*reason=wrong_file why="[^"]*; but profile wrong: x64\.efi is an EFI program for x64-uefi, and the profile gives it to x86-uefi"`)

	writeFile(t, filepath.Join(s.images, "missing.efi"), efiProgram(0x8664))
	logged(`msg="profile is whole again" profile=missing`)
	mustBoot(ctx, t, s.net, lab.ClientPlace, filepath.Join(s.images, "missing.efi"), "uefi-x64", "--mac", "52:54:00:00:00:31")
}

func TestSimulationFindsTheSecondProxy(t *testing.T) {
	ctx, s, _ := newSimulated(t, simulatedProfiles)
	const other = lab.Place("other")
	if err := s.net.AddPlace(other, netip.MustParseAddr("198.18.0.4")); err != nil {
		t.Fatal(err)
	}
	startDnsmasq(ctx, t, s.net, other, "--dhcp-range=198.18.0.0,proxy", "--pxe-service=X86-64_EFI,other,other.efi")
	got := mustFind(ctx, t, s.net, "offer", `two servers tell uefi-x64 to boot different files, 198.18.0.2 with "x64.efi" and 198.18.0.4 with none in its OFFER, `+
		`and it depends on who answers first which one it follows`, "uefi-x64")
	if len(got.Offers) != 3 {
		t.Errorf("%d OFFERs are listed, want those of the site and of both proxies: %+v", len(got.Offers), got.Offers)
	}
}

func TestSimulationFindsAWrongSiaddrOfDnsmasq(t *testing.T) {
	ctx, n := newSiteOnly(t)
	startDnsmasq(ctx, t, n, lab.BootPlace, "--dhcp-range=198.18.0.0,proxy", "--pxe-service=X86-64_EFI,loader,x64.efi,198.18.0.77")
	mustFind(ctx, t, n, "fetch", `there is no host 198.18.0.77, where the siaddr in the ACK of 198.18.0.2 sends uefi-x64 for "x64.efi"`, "uefi-x64")
}

func TestSimulationFindsAWrongSiaddr(t *testing.T) {
	ctx, n := newSiteOnly(t)
	offerOnly(t, n, netip.MustParseAddr("198.18.0.77"))
	mustFind(ctx, t, n, "boot_server", "there is no host 198.18.0.77, where the siaddr in the OFFER of 198.18.0.2 sends uefi-x64", "uefi-x64")
}

func TestSimulationFindsAProxyWithout4011(t *testing.T) {
	ctx, n := newSiteOnly(t)
	offerOnly(t, n, lab.BootAddr)
	mustFind(ctx, t, n, "boot_server", "nobody listens on 198.18.0.2:4011, where the OFFER of 198.18.0.2 sends uefi-x64", "uefi-x64")
}

// newSiteOnly is a network with a site's dnsmasq and nothing that tells what to
// boot.
func newSiteOnly(t *testing.T) (context.Context, *lab.Network) {
	t.Helper()
	need(t, "dnsmasq")
	ctx, n := newNetwork(t)
	if _, err := n.StartSite(ctx, lab.Dnsmasq, nil); err != nil {
		t.Fatal(err)
	}
	return ctx, n
}

// offerOnly runs a ProxyDHCP server at the boot place that listens on port 67 and
// not on 4011, as one that knows BIOS only. Its OFFERs have that siaddr.
func offerOnly(t *testing.T, n *lab.Network, siaddr netip.Addr) {
	t.Helper()
	var conn *net.UDPConn
	err := n.Do(lab.BootPlace, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: dhcpServerPort})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			size, _, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if offer, ok := wrongOffer(b[:size], siaddr); ok {
				// Without a default route 255.255.255.255 leads nowhere.
				_, _ = conn.WriteToUDP(offer.ToBytes(), &net.UDPAddr{IP: net.IPv4(198, 18, 0, 255), Port: dhcpClientPort})
			}
		}
	}()
}

// wrongOffer is the OFFER, with that siaddr, for a PXE client's DISCOVER.
func wrongOffer(packet []byte, siaddr netip.Addr) (*dhcpv4.DHCPv4, bool) {
	m, err := dhcpv4.FromBytes(packet)
	if err != nil || m.MessageType() != dhcpv4.MessageTypeDiscover {
		return nil, false
	}
	offer, err := dhcpv4.NewReplyFromRequest(m,
		dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
		dhcpv4.WithServerIP(siaddr.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(lab.BootAddr.AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient")))
	return offer, err == nil
}

// mustFind plays a client that must not boot, for exactly that reason.
func mustFind(ctx context.Context, t *testing.T, n *lab.Network, step, text, client string, args ...string) simulation {
	t.Helper()
	s, code := simulate(ctx, t, n, lab.ClientPlace, client, args...)
	if diff := cmp.Diff([]string{"false", "1", step, text}, []string{fmt.Sprint(s.Boots), fmt.Sprint(code), s.Step, s.Text}); diff != "" {
		t.Errorf("%s (-want +got):\n%s", client, diff)
	}
	return s
}
