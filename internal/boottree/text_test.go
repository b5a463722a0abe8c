package boottree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netbootd/bootmenu"
	"netbootd/internal/loaders"
)

// machines of the tests below
var (
	pc     = bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS}
	uefiPC = bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI}
	ours   = "52-54-00-12-34-56" // pcMAC as loaders write it
)

// serves fails unless name is served to the machine at pcAddr from that layer, with
// that text in it.
func (h *house) serves(t *testing.T, name string, layer Layer, text string) {
	t.Helper()
	if got, from, err := h.read(pcAddr, name); err != nil || from != layer || !strings.Contains(got, text) {
		t.Errorf("%s: got %q from %q, %v, want %q from %q", name, got, from, err, text, layer)
	}
}

// lacks fails unless name is not there for the machine at pcAddr.
func (h *house) lacks(t *testing.T, name string) {
	t.Helper()
	if got, from, err := h.read(pcAddr, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: got %q from %q, %v, want nothing", name, got, from, err)
	}
}

func TestEveryLoaderFindsItsText(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.boots(pc, pcAddr)
	for _, name := range []string{
		"pxelinux.cfg/01-" + ours, "pxelinux.cfg/C6120032", "pxelinux.cfg/C6", "pxelinux.cfg/default",
		"loaders/x86-bios/pxelinux/pxelinux.cfg/default", "some/where/pxelinux.cfg/01-" + ours,
	} {
		h.serves(t, name, LayerGenerated, "LINUX ::debian12/linux\nINITRD ::debian12/initrd.gz\n")
	}
	for _, name := range []string{"grub/grub.cfg-01-" + ours, "grub/grub.cfg", "grub.cfg", "boot/grub/x86/grub.cfg-C612"} {
		h.serves(t, name, LayerGenerated, "linux '/debian12/linux'")
	}
	h.serves(t, "extlinux/extlinux.conf", LayerGenerated, "LINUX /debian12/linux")
	h.serves(t, "boot.scr.uimg", LayerGenerated, "tftpboot ${kernel_addr_r} 'debian12/linux'")
	h.serves(t, "boot.scr", LayerGenerated, "booti")
	h.lacks(t, "pxelinux.cfg/01-52-54-00-12-34-57")
	h.lacks(t, "config.txt") // for a Raspberry Pi only
	if _, _, err := h.read(stranger, "pxelinux.cfg/default"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stranger gets %v", err)
	}
}

func TestOneHandWrittenNameTurnsASeriesOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.boots(pc, pcAddr)
	writeFile(t, filepath.Join(h.images, "pxelinux.cfg/default"), "by hand")
	h.lacks(t, "pxelinux.cfg/01-"+ours)
	h.lacks(t, "loaders/x86-bios/pxelinux/pxelinux.cfg/01-"+ours)
	h.serves(t, "pxelinux.cfg/default", LayerImages, "by hand")
	h.serves(t, "loaders/x86-bios/pxelinux/pxelinux.cfg/default", LayerImages, "by hand")
	h.serves(t, "grub/grub.cfg", LayerGenerated, "linux '/debian12/linux'") // another series
	writeFile(t, filepath.Join(h.images, "syslinux/pxelinux.cfg/C612"), "beside it")
	h.lacks(t, "syslinux/pxelinux.cfg/default") // the top is for those with nothing beside them
	h.serves(t, "syslinux/pxelinux.cfg/C612", LayerImages, "beside it")
	if err := os.RemoveAll(filepath.Join(h.images, "pxelinux.cfg")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(h.images, "pxelinux.cfg/01-52-54-00-12-34-57"), "for another machine")
	h.serves(t, "pxelinux.cfg/01-"+ours, LayerGenerated, "LINUX ::debian12/linux")
}

func TestAMachineIsNotToldToLoadItsBootFileOnceMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.profiles["debian"]
	p.Boot = bootmenu.Boot{BootFile: "grub/bootx64.efi"}
	for _, m := range []bootmenu.Machine{pc, uefiPC} {
		h.boots(m, pcAddr)
		for _, name := range []string{"grub/grub.cfg", "pxelinux.cfg/default", "boot.scr.uimg"} {
			h.lacks(t, name)
		}
	}
	p.Boot = bootmenu.Boot{Instead: bootmenu.InsteadDisk}
	h.boots(pc, pcAddr)
	h.serves(t, "grub/grub.cfg", LayerGenerated, "chainloader +1")
	h.serves(t, "pxelinux.cfg/default", LayerGenerated, "LOCALBOOT 0")
	p.Boot = bootmenu.Boot{Instead: bootmenu.InsteadSilence}
	h.boots(pc, pcAddr)
	h.lacks(t, "grub/grub.cfg")
}

func TestALoaderIsToldThatItsMachineIsDone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.opts.Assigned = func(bootmenu.MAC) bootmenu.Assignments {
		return bootmenu.Assignments{Done: bootmenu.Assignment{ID: 1, Profile: "installer"}}
	}
	h.SetPlan(bootmenu.NewCatalog(nil, nil, bootmenu.Menu{}), h.Loaders())
	for m, grub := range map[*bootmenu.Machine]string{&pc: "chainloader +1", &uefiPC: "/EFI/BOOT/BOOTX64.EFI"} {
		m := *m // its own copy
		h.links.Decided(m, h.Select(m))
		h.links.Learn(bootmenu.Machine{MAC: m.MAC, Addr: pcAddr, Arch: m.Arch})
		h.serves(t, bootmenu.ScriptName, LayerGenerated, "sanboot")
		h.serves(t, "grub/grub.cfg", LayerGenerated, grub)
		h.serves(t, "pxelinux.cfg/default", LayerGenerated, "LOCALBOOT")
	}
}

func TestFilesThatAProfileHasWritten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.profiles["debian"]
	p.Vars = map[string]string{"host": "pc1"}
	p.Texts = []bootmenu.Text{
		{Name: "preseed.cfg", Template: "{{ .Vars.host }} {{ .MAC }} {{ .IP }} from {{ .Server }}"},
		{Name: "shared.txt", Template: "before the image"},
		{Name: "grub/grub.cfg", Template: "echo by hand"},
		{Name: "broken", Template: "{{ .Vars.nope }}"},
	}
	p.Boot.Cmdline = "auto url=tftp://{{ .Server }}/preseed.cfg"
	h.boots(pc, pcAddr)
	h.serves(t, "preseed.cfg", LayerFile, "pc1 52:54:00:12:34:56 198.18.0.50 from 198.18.0.2")
	h.serves(t, "PRESEED.CFG", LayerFile, "pc1")
	h.serves(t, "shared.txt", LayerFile, "before the image")
	h.serves(t, "grub/grub.cfg", LayerFile, "echo by hand")
	h.lacks(t, "grub/grub.cfg-01-"+ours)
	h.serves(t, "pxelinux.cfg/default", LayerGenerated, "APPEND auto url=tftp://198.18.0.2/preseed.cfg\n")
	if _, _, err := h.read(pcAddr, "broken"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "unknown variable .Vars.nope") {
		t.Errorf("a broken template: %v", err)
	}
	if got, _, _ := h.read(stranger, "shared.txt"); got != "shared" {
		t.Errorf("a stranger gets %q", got)
	}
	p.Boot.Root = "boards/bbb"
	h.boots(pc, pcAddr)
	h.serves(t, "shared.txt", LayerRoot, "board's own")
}

func TestBoardsThatNeverAskedByDHCP(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.profiles["board"]
	p.Boot = bootmenu.Boot{Kernel: "debian12/linux", Initrd: []string{"debian12/initrd.gz"}}
	for name, want := range map[string]string{
		"pxelinux.cfg/01-d0-39-72-01-02-03": "LINUX /debian12/linux",
		"boot.scr.uimg":                     "booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${netbootd_fdt} || bootz",
		"some/dir/debian12/linux":           "kernel", // U-Boot puts the directory of its boot file in front
	} {
		if got, _, err := h.read(boardAddr, name); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	p.Boot.Initrd = append(p.Boot.Initrd, "debian12/linux")
	if _, _, err := h.read(boardAddr, "boot.scr.uimg"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "takes one initrd") {
		t.Errorf("two initrds: %v", err)
	}
}

func TestARaspberryPisFilesStandOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	pi := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchRPi}
	h.profiles["debian"].Boot.Root = "boards/bbb"
	h.boots(pi, pcAddr)
	h.serves(t, "b00c1e57/shared.txt", LayerRoot, "board's own")
	h.serves(t, ours+"/shared.txt", LayerRoot, "board's own")
	h.serves(t, strings.ToUpper(ours)+"/debian12/linux", LayerImages, "kernel")
	h.serves(t, "b00c1e57/config.txt", LayerGenerated, "kernel=debian12/linux\ninitramfs debian12/initrd.gz followkernel\n")
	h.serves(t, "config.txt", LayerGenerated, "kernel=debian12/linux\n")
	h.serves(t, "b00c1e57/cmdline.txt", LayerGenerated, "\n")
	writeFile(t, filepath.Join(h.images, "b00c1e57/start4.elf"), "its own")
	h.serves(t, "b00c1e57/start4.elf", LayerImages, "its own")
	h.lacks(t, "b00c1e57/shared.txt") // it has a directory, and asks without it next
	h.serves(t, "boards/bbb/shared.txt", LayerImages, "board's own")
}

func TestMenusOfOtherLoadersLeadThroughNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ipxe := "ipxe.efi"
	h.SetPlan(bootmenu.NewCatalog([]*bootmenu.Profile{
		{Name: "rescue", Title: "Rescue", Boot: bootmenu.Boot{Kernel: "rescue/linux", Root: "boards/bbb"}, IPXE: bootmenu.Overlay{BootFile: &ipxe}},
		{Name: "other", Title: "Other", Boot: bootmenu.Boot{BootFile: "other.0"}},
	}, h.Loaders().Preferred(), bootmenu.Menu{}), h.Loaders())
	h.boots(pc, pcAddr)
	h.serves(t, "grub/grub.cfg", LayerGenerated, "configfile '/netbootd/menu/rescue.grub'")
	h.serves(t, "pxelinux.cfg/default", LayerGenerated, "CONFIG ::netbootd/menu/rescue.pxelinux")
	h.serves(t, "netbootd/menu/rescue.grub", LayerGenerated, "linux '/rescue/linux'")
	h.serves(t, "MLO", LayerRoot, "board's MLO") // by the entry that was chosen
	h.serves(t, "grub/grub.cfg", LayerGenerated, "configfile '/netbootd/menu/rescue.grub'")
	h.serves(t, "netbootd/menu/other.pxelinux", LayerGenerated, "PXE ::other.0")
	h.serves(t, "netbootd/menu/rescue.ipxe", LayerGenerated, "chain /ipxe.efi")
	h.lacks(t, "netbootd/menu/nobody.grub")
	h.lacks(t, "boot.scr.uimg")
}

// builderFunc makes a loader.
type builderFunc func(l loaders.Loader, server netip.Addr) (string, error)

func (f builderFunc) Build(_ context.Context, l loaders.Loader, server netip.Addr) (string, error) {
	return f(l, server)
}

func TestALoaderIsMadeForTheAddressThatWasAsked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	set := grubSet(t)
	image := filepath.Join(t.TempDir(), "image")
	writeFile(t, image, "GRUB")
	var asked []netip.Addr
	h.opts.Builder = builderFunc(func(_ loaders.Loader, server netip.Addr) (string, error) {
		asked = append(asked, server)
		return image, nil
	})
	h.profiles["debian"].Boot.Loader, h.profiles["debian"].Boot.Kernel = bootmenu.LoaderGRUB, "efi/x64.efi"
	h.SetPlan(bootmenu.NewCatalog([]*bootmenu.Profile{h.profiles["debian"]}, set.Preferred(), bootmenu.Menu{}), set)
	d := h.boots(uefiPC, pcAddr)
	if d.File != "loaders/x64-uefi/grub/grub.efi" || !d.ChoseLoader() {
		t.Fatalf("%+v", d)
	}
	h.serves(t, d.File, LayerLoaders, "GRUB")
	if len(asked) != 1 || asked[0] != ourAddr {
		t.Errorf("made for %v, want %v", asked, ourAddr)
	}
	h.profiles["debian"].Match.Arch = []bootmenu.Arch{bootmenu.ArchX64UEFI}
	if found := h.Verify(h.profiles["debian"]); len(found) != 0 {
		t.Errorf("findings %v", found)
	}
	h.opts.Builder = builderFunc(func(loaders.Loader, netip.Addr) (string, error) {
		return "", errors.New("GRUB cannot be made: no room")
	})
	if found := h.Verify(h.profiles["debian"]); len(found) != 1 || found[0].Fault != FaultNoLoader || found[0].Text != "x64-uefi: GRUB cannot be made: no room" {
		t.Errorf("findings %v", found)
	}
	if _, _, err := h.read(pcAddr, d.File); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a loader that cannot be made: %v", err)
	}
}

// grubSet is a scan that finds the modules of GRUB, with a tool to make it.
func grubSet(t *testing.T) *loaders.Set {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "x86_64-efi/kernel.img"), "")
	set := loaders.Scan([]string{dir})
	if len(set.All()) != 1 {
		t.Fatalf("found %v, skipped %v (the Debian package grub-common has grub-mkimage)", set.All(), set.Skipped)
	}
	return set
}

func TestAFileThatTurnsTheTextsOffForAllIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := &bootmenu.Profile{Name: "pc", Match: &bootmenu.Match{Arch: []bootmenu.Arch{bootmenu.ArchX86BIOS}}, Boot: bootmenu.Boot{Kernel: "debian12/linux", Loader: bootmenu.LoaderPXELINUX}}
	turnedOff := func(p *bootmenu.Profile) (names []string) {
		for _, f := range h.Verify(p) {
			if f.Fault == FaultTurnedOff && f.Warning {
				names = append(names, f.Name)
			}
		}
		return names
	}
	writeFile(t, filepath.Join(h.images, "pxelinux.cfg/01-52-54-00-00-00-99"), "for another machine alone")
	if got := turnedOff(p); len(got) != 0 {
		t.Errorf("warned of %v", got)
	}
	writeFile(t, filepath.Join(h.images, "pxelinux.cfg/default"), "for all")
	if got := turnedOff(p); len(got) != 1 || got[0] != "pxelinux.cfg/default" {
		t.Errorf("warned of %v, want pxelinux.cfg/default", got)
	}
	p.Boot.Loader = bootmenu.LoaderIPXE
	if got := turnedOff(p); len(got) != 0 {
		t.Errorf("iPXE does not read it: warned of %v", got)
	}
}

func TestWhatIsWrittenForEachLoaderIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.SetPlan(bootmenu.NewCatalog(nil, nil, bootmenu.Menu{}), grubSet(t))
	archs := []bootmenu.Arch{bootmenu.ArchX64UEFI, bootmenu.ArchARM64UBoot, bootmenu.ArchRPi}
	p := &bootmenu.Profile{Name: "all", Match: &bootmenu.Match{Arch: archs}, Boot: bootmenu.Boot{Kernel: "debian12/linux", Loader: bootmenu.LoaderGRUB}}
	got := make(map[string]string)
	for _, b := range h.Describe(p) {
		if !b.Machine.IPXE || b.Machine.Arch == bootmenu.ArchX64UEFI {
			got[fmt.Sprintf("%v %v", b.Machine.Arch, b.Machine.IPXE)] = strings.Join(b.Writes(), " ")
		}
	}
	want := map[string]string{
		"x64-uefi false":    "grub/grub.cfg",
		"x64-uefi true":     "netbootd/boot.ipxe",
		"arm64-uboot false": "pxelinux.cfg/default extlinux/extlinux.conf boot.scr.uimg",
		"rpi false":         "config.txt cmdline.txt",
	}
	if !maps.Equal(got, want) {
		t.Errorf("written: %v, want %v", got, want)
	}
}
