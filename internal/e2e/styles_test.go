//go:build linux

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// TestRealFirmwareFollowsEachStyle offers the same boot file in every style that
// the firmware knows. What it follows as a rule is in TestRealFirmwareBootsLinux.
func TestRealFirmwareFollowsEachStyle(t *testing.T) {
	const mac = "52:54:00:00:00:07"
	ipxe := func(offer string) string {
		return fmt.Sprintf("title = \"Hello\"\nboot_file = \"hello.ipxe\"\noffer = %q\n[match]\nmac = [%q]\n", offer, mac)
	}
	uefi := strings.NewReplacer("hello.ipxe", "hello.efi")
	fetched := regexp.MustCompile(`NBP file downloaded successfully`)
	runs := regexp.MustCompile(`^the plain boot file runs`)
	cases := []struct {
		name     string
		firmware lab.Firmware
		profile  string
		console  *regexp.Regexp // shows that it followed
		log      []string       // of netbootd, in any order
		never    string         // in the log
	}{
		{"UEFI takes the file at once", lab.UEFI, uefi.Replace(ipxe("skip")), fetched, []string{`msg="OFFER sent".* style=skip`}, `msg="ACK sent"`},
		// What is picked needs a loader, which comes back for the profile and must not
		// draw the menu once more.
		{"UEFI draws the menu", lab.UEFI, strings.Replace(ipxe("menu"), "boot_file", "kernel", 1), runs, []string{
			`msg="OFFER sent".* file="" style=menu`, `msg="ACK sent".* file=\S*snponly.efi style=menu`, `msg="OFFER sent".* ipxe=true .*file=netbootd/boot.ipxe style=skip`,
		}, ""},
		{"iPXE without option 43", lab.BIOSiPXE, ipxe("bare"), runs, []string{`msg="OFFER sent".* style=bare`}, ""},
		{"iPXE draws the menu", lab.BIOSiPXE, ipxe("menu"), runs, []string{`msg="OFFER sent".* file="" style=menu`, `msg="ACK sent".* file=hello.ipxe style=menu`}, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"hello": tc.profile})
			writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\necho the plain boot file runs\nshell\n")
			copyFile(t, "/usr/lib/ipxe/snponly.efi", filepath.Join(s.images, "hello.efi"))
			s.start(ctx, t)
			pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware, MAC: mac})
			if _, err := pc.Console.WaitFor(ctx, tc.console); err != nil {
				t.Fatal(err)
			}
			log := strings.Join(s.proc.Stderr.Lines(), "\n")
			for _, want := range tc.log {
				if !regexp.MustCompile(want).MatchString(log) {
					t.Errorf("netbootd did not log %s", want)
				}
			}
			if tc.never != "" && strings.Contains(log, tc.never) {
				t.Errorf("netbootd logged %s", tc.never)
			}
		})
	}
}

// TestRealFirmwareIsToldToBootFromDisk has no disk to boot from: what shows is
// that the firmware gives up on the network and goes on.
func TestRealFirmwareIsToldToBootFromDisk(t *testing.T) {
	cases := []struct {
		firmware lab.Firmware
		console  *regexp.Regexp
		log      string
	}{
		{lab.UEFI, regexp.MustCompile(`PXE-E21: Remote boot cancelled`), `msg="OFFER sent".* file="" style=menu`},
		{lab.BIOSiPXE, regexp.MustCompile(`No bootable device`), `msg="OFFER sent".* file=netbootd/boot.ipxe style=skip`},
	}
	for _, tc := range cases {
		t.Run(tc.firmware.String(), func(t *testing.T) {
			ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"disk": "boot = \"disk\"\n[match]\nall = true\n"})
			s.start(ctx, t)
			pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware})
			if _, err := pc.Console.WaitFor(ctx, tc.console); err != nil {
				t.Fatal(err)
			}
			if log := strings.Join(s.proc.Stderr.Lines(), "\n"); !regexp.MustCompile(tc.log).MatchString(log) {
				t.Errorf("netbootd did not log %s", tc.log)
			}
		})
	}
}

// TestAnotherStyleIsOfferedAndRemembered plays a BIOS that ignores the style of
// its kind, and fetches its file when it is offered another.
func TestAnotherStyleIsOfferedAndRemembered(t *testing.T) {
	need(t, "curl")
	ctx, s := newAnsweringServer(t)
	wire, err := s.net.OpenRawUDP(lab.ClientPlace)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	send := func(m *dhcpv4.DHCPv4) {
		t.Helper()
		if err := wire.Broadcast(dhcpClientPort, dhcpServerPort, m.ToBytes()); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		// The REQUEST to the lease server tells netbootd who is at that address.
		send(request(t, dhcpv4.MessageTypeRequest, append(pxeOptions(), dhcpv4.OptRequestedIPAddress(lab.ClientAddr.AsSlice()))...))
		discover := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
		send(discover)
		answers := answersUntil(ctx, t, wire, discover.TransactionID)
		if skips := answers[len(answers)-1].Options.Has(dhcpv4.OptionVendorSpecificInformation); skips != (n < 3) {
			t.Errorf("OFFER %d has option 43: %v", n+1, skips)
		}
	}
	if code, out := inClient(ctx, t, s, "curl", "--silent", "--show-error", tftpURL("hello.ipxe")); code != 0 {
		t.Fatalf("curl: exit code %d: %s", code, out)
	}
	kept, err := os.ReadFile(filepath.Join(s.dir, "state", "styles.json"))
	if want := `"mac":"52:54:00:aa:bb:cc","arch":"x86-bios","style":"bare"`; err != nil || !strings.Contains(string(kept), want) {
		t.Errorf("styles.json: %v, %s, want %s in it", err, kept, want)
	}
	out, err := s.command(ctx, "explain", "--mac", clientMAC.String(), "--arch", "x86-bios").Output()
	if want := "bare: what this machine followed the last time"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("explain: %v, %s, want %q in it", err, out, want)
	}
}
