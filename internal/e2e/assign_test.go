//go:build linux

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// installerProfile is in the menu, so that nobody gets it by itself.
const installerProfile = "boot_file = \"installer.ipxe\"\n"

// consumed is the line that tells that a once-assignment is consumed.
var consumed = regexp.MustCompile(`once-assignment consumed`)

// An installing is a netbootd with one installer, and the wire of the machine
// that is to be installed.
type installing struct {
	*server
	wire *lab.RawUDP
}

func newInstalling(t *testing.T) (context.Context, *installing) {
	t.Helper()
	need(t, "curl")
	ctx, n := newNetwork(t)
	i := &installing{server: newServer(t, n, map[string]string{"installer": installerProfile})}
	writeFile(t, i.config, i.settings("eth0")+"[dhcp]\nmax_requests_per_machine = 1000\n")
	writeFile(t, filepath.Join(i.images, "installer.ipxe"), "#!ipxe\n"+strings.Repeat("# installs\n", 200))
	var err error
	if i.wire, err = n.OpenRawUDP(lab.ClientPlace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.wire.Close() })
	return ctx, i
}

// run runs a netbootd subcommand.
func (i *installing) run(ctx context.Context, args ...string) ([]byte, error) {
	out, err := i.command(ctx, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("netbootd %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// lease has the machine take the client place's address from the lease server.
func (i *installing) lease(t *testing.T) error {
	t.Helper()
	return i.wire.Broadcast(dhcpClientPort, dhcpServerPort, request(t, dhcpv4.MessageTypeRequest, append(pxeOptions(),
		dhcpv4.OptServerIdentifier(lab.SiteAddr.AsSlice()), dhcpv4.OptRequestedIPAddress(net.IP(lab.ClientAddr.AsSlice())))...).ToBytes())
}

// offered is the boot file of the OFFER to one DISCOVER.
func (i *installing) offered(ctx context.Context, t *testing.T) (string, error) {
	t.Helper()
	discover := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	if err := i.wire.Broadcast(dhcpClientPort, dhcpServerPort, discover.ToBytes()); err != nil {
		return "", err
	}
	for {
		d, err := i.wire.Next(ctx)
		if err != nil {
			return "", err
		}
		if d.Src.Port() != dhcpServerPort {
			continue
		}
		if m, err := dhcpv4.FromBytes(d.Payload); err == nil && m.TransactionID == discover.TransactionID {
			return m.BootFileName, nil
		}
	}
}

// fetch has the machine load the installer.
func (i *installing) fetch(ctx context.Context) error {
	return i.net.Command(ctx, lab.ClientPlace, "curl", "--silent", "--output", os.DevNull, tftpURL("installer.ipxe")).Run()
}

// kill ends netbootd as a power failure would.
func (i *installing) kill(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := i.proc.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := i.proc.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAHundredDISCOVERsConsumeAnAssignmentOnce(t *testing.T) {
	ctx, i := newInstalling(t)
	i.start(ctx, t)
	if _, err := i.run(ctx, "boot", clientMAC.String(), "installer", "--once"); err != nil {
		t.Fatal(err)
	}
	if err := i.lease(t); err != nil {
		t.Fatal(err)
	}
	const n = 100
	asked := make(map[dhcpv4.TransactionID]bool)
	var wg sync.WaitGroup
	for range n {
		m := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
		asked[m.TransactionID] = true
		wg.Go(func() {
			if err := i.wire.Broadcast(dhcpClientPort, dhcpServerPort, m.ToBytes()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for len(asked) > 0 {
		m, err := dhcpv4.FromBytes(nextFromBoot(ctx, t, i.wire).Payload)
		if err != nil {
			t.Fatal(err)
		}
		if m.BootFileName != "installer.ipxe" {
			t.Errorf("an OFFER names %q before anything was delivered", m.BootFileName)
		}
		delete(asked, m.TransactionID)
	}
	for range 4 {
		wg.Go(func() {
			if err := i.fetch(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := i.proc.Stderr.WaitFor(ctx, consumed); err != nil {
		t.Fatal(err)
	}
	i.kill(ctx, t)
	if got := len(consumed.FindAllString(strings.Join(i.proc.Stderr.Lines(), "\n"), -1)); got != 1 {
		t.Errorf("consumed %d times", got)
	}
	i.start(ctx, t)
	// The menu would name the loader that draws it: this is word to boot from disk.
	if file, err := i.offered(ctx, t); err != nil || file != "" {
		t.Errorf("after the restart it is offered %q, %v", file, err)
	}
}

func TestStockClientsSayThatTheyAreDone(t *testing.T) {
	need(t, "busybox")
	ctx, i := newInstalling(t)
	i.start(ctx, t)
	for _, client := range [][]string{
		{"curl", "--silent", tftpURL("netbootd/done")},
		{"busybox", "tftp", "-g", "-r", "netbootd/done", "-l", "/dev/stdout", lab.BootAddr.String()},
	} {
		if _, err := i.run(ctx, "boot", clientMAC.String(), "installer", "--once"); err != nil {
			t.Fatal(err)
		}
		if err := i.lease(t); err != nil {
			t.Fatal(err)
		}
		if file, err := i.offered(ctx, t); err != nil || file != "installer.ipxe" {
			t.Fatalf("offered %q, %v", file, err)
		}
		code, out := inClient(ctx, t, i.server, client[0], client[1:]...)
		if want := "netbootd: noted, this machine is done with profile installer\n"; code != 0 || string(out) != want {
			t.Errorf("%s: exit code %d, %q", client[0], code, out)
		}
		for i.read(ctx, t).once {
			// It is written down once the client has acknowledged the text.
		}
	}
}

// A PC that is installed once runs its installer, and boots from disk the next
// time: the loader on the way and its text consume nothing, the kernel does.
func TestRealFirmwareIsInstalledOnce(t *testing.T) {
	const script, kernel = "kernel = \"installer.ipxe\"\n", "kernel = \"linux\"\ncmdline = \"console=ttyS0\"\n"
	var (
		scriptRuns = regexp.MustCompile(`^the installer runs`)
		kernelRuns = regexp.MustCompile(`Linux version`)
		// A disk would be tried after all the other ways of UEFI to boot from the network.
		goesOn = regexp.MustCompile(`PXE-E21: Remote boot cancelled`)
	)
	for _, tc := range []struct {
		firmware  lab.Firmware
		loader    string
		profile   string
		runs      *regexp.Regexp
		afterward *regexp.Regexp // what the console shows the next time
	}{
		{lab.UEFI, "iPXE", script, scriptRuns, goesOn},
		{lab.BIOSiPXE, "iPXE", script, scriptRuns, diskRuns},
		{lab.UEFI, "GRUB", kernel + "loader = \"grub\"\n", kernelRuns, goesOn},
		{lab.BIOSPlainPXE, "PXELINUX", kernel + "loader = \"pxelinux\"\n", kernelRuns, diskRuns},
	} {
		t.Run(fmt.Sprintf("%v through %s", tc.firmware, tc.loader), func(t *testing.T) {
			const mac = "52:54:00:00:00:09"
			skipWithout(t, lab.RequirePrograms())
			need(t, pxelinux, ldlinux)
			ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"installer": tc.profile})
			writeFile(t, filepath.Join(s.images, "installer.ipxe"), "#!ipxe\necho the installer runs\nshell\n")
			s.link(t, filepath.Join(debianInstaller(t), "linux"), "linux")
			disk, err := lab.MakeDisk(ctx, s.dir, tc.firmware, "the disk runs")
			if err != nil {
				t.Fatal(err)
			}
			s.start(ctx, t)
			if out, err := s.command(ctx, "boot", mac, "installer", "--once").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware, MAC: mac, Disk: disk})
			if _, err := pc.Console.WaitFor(ctx, tc.runs); err != nil {
				t.Fatal(err)
			}
			if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(consumed.String()+`.* mac=`+mac+` profile=installer by=delivered`)); err != nil {
				t.Fatal(err)
			}
			pc.PowerOff()
			again := powerOn(t, s.net, lab.PC{Firmware: tc.firmware, MAC: mac, Disk: disk})
			if _, err := again.Console.WaitFor(ctx, tc.afterward); err != nil {
				t.Fatal(err)
			}
			if log := strings.Join(s.proc.Stderr.Lines(), "\n"); !strings.Contains(log, "profile=(disk)") {
				t.Error("netbootd did not log that it offered the disk")
			}
		})
	}
}

// A standing is what must outlive a crash.
type standing struct {
	once    bool // the machine is assigned to the installer
	started bool // the installer is
}

// read is how things stand, as a netbootd that has just started tells.
func (i *installing) read(ctx context.Context, t *testing.T) (s standing) {
	t.Helper()
	out, err := i.run(ctx, "boot", clientMAC.String(), "--json")
	if err != nil {
		t.Fatal(err)
	}
	var assigned struct{ Once *struct{ Profile string } }
	if err := json.Unmarshal(out, &assigned); err != nil {
		t.Fatal(err)
	}
	return standing{assigned.Once != nil, i.status(ctx, t).profileState("installer") == "started"}
}

// A step changes how things stand.
type step struct {
	name string
	do   func(context.Context) error
	then func(standing) standing // once do has returned
}

func (i *installing) steps(t *testing.T) []step {
	command := func(args ...string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := i.run(ctx, args...); return err }
	}
	return []step{
		{"start", command("start", "installer"), func(s standing) standing { s.started = true; return s }},
		{"assign", command("boot", clientMAC.String(), "installer", "--once"), func(s standing) standing { s.once = true; return s }},
		{"consume", func(ctx context.Context) error { return i.install(ctx, t) }, func(s standing) standing { s.once = false; return s }},
		{"stop", command("stop", "installer"), func(s standing) standing { s.started = false; return s }},
	}
}

// install boots the machine, until it is told that its assignment is consumed.
func (i *installing) install(ctx context.Context, t *testing.T) error {
	if err := i.lease(t); err != nil {
		return err
	}
	if file, err := i.offered(ctx, t); err != nil || file != "installer.ipxe" {
		return fmt.Errorf("offered %q, %w", file, err)
	}
	if err := i.fetch(ctx); err != nil {
		return err
	}
	_, err := i.proc.Stderr.WaitFor(ctx, consumed)
	return err
}

// crashRuns is how often netbootd is killed; NETBOOTD_CRASH_RUNS is another number.
const crashRuns = 30

// Whenever netbootd is killed, things stand afterwards as before the step that was
// under way, or as after it.
func TestACrashLosesNothingThatWasTold(t *testing.T) {
	ctx, i := newInstalling(t)
	runs := crashRuns
	if text := os.Getenv("NETBOOTD_CRASH_RUNS"); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(1+runs/30)*bound)
		defer cancel()
	}
	i.start(ctx, t)
	stands := standing{started: true}
	began := time.Now()
	for _, s := range i.steps(t) {
		if err := s.do(ctx); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		stands = s.then(stands)
	}
	within := time.Since(began) // all steps take about that long here and now
	hit := make(map[string]int)
	for range runs {
		before, after, name := i.crash(ctx, t, stands, within)
		hit[name]++
		i.start(ctx, t)
		if stands = i.read(ctx, t); stands != before && stands != after {
			t.Fatalf("killed during %s: %+v, want %+v or %+v", name, stands, before, after)
		}
	}
	t.Logf("killed during %v", hit)
}

// crash goes through the steps, and kills netbootd at a random time meanwhile. It
// tells during which step that was, and how things stood before and would stand
// after it.
func (i *installing) crash(ctx context.Context, t *testing.T, stands standing, within time.Duration) (before, after standing, name string) {
	t.Helper()
	proc := i.proc
	killer := time.AfterFunc(rand.N(within), func() { _ = proc.Signal(syscall.SIGKILL) })
	defer killer.Stop()
	for _, s := range i.steps(t) {
		err := proc.Guard(ctx, s.do)
		switch {
		case err == nil:
			stands = s.then(stands)
			continue
		case killer.Stop():
			t.Fatalf("%s: %v", s.name, err) // and not because netbootd was killed
		}
		if _, err := proc.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		return stands, s.then(stands), s.name
	}
	i.kill(ctx, t)
	return stands, stands, "none"
}
