package boottree

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"netbootd/bootmenu"
	"netbootd/internal/loaders"
)

// linuxX64 is the beginning of a kernel for x64 with an EFI stub.
func linuxX64() string {
	b := []byte(efi(0x8664) + strings.Repeat("\x00", 1024))
	copy(b[0x202:], "HdrS")
	return string(b)
}

// watched is the house with profiles that are looked after, and its directory.
func watched(t *testing.T, profiles ...*bootmenu.Profile) (*house, *Health) {
	t.Helper()
	h := newHouse(t)
	health := NewHealth(h.Tree)
	health.Watch(profiles, h.Loaders())
	h.SetPlan(bootmenu.NewCatalog(profiles, h.Loaders().Preferred(), bootmenu.Menu{}), h.Loaders())
	return h, health
}

// answer is what m gets.
func (h *house) answer(health *Health, m bootmenu.Machine) bootmenu.Decision {
	return health.Check(h.Catalog().Select(m), m)
}

// names are those of the profiles that something is told of.
func names(profiles []*bootmenu.Profile) string {
	var all []string
	for _, p := range profiles {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}

func TestAMachineGetsSilenceWhileAFileIsMissing(t *testing.T) {
	t.Parallel()
	p := &bootmenu.Profile{Name: "installer", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{Kernel: "new/linux", Initrd: []string{"debian12/initrd.gz"}}}
	h, health := watched(t, p)
	uefi := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI}
	d := h.answer(health, uefi)
	if d.Reason != bootmenu.ReasonFileMissing || d.Why != "matched every PXE client; but profile installer: new/linux is missing" || d.File != "" || d.Profile != "installer" {
		t.Errorf("before the file is there: %+v", d)
	}
	if changed := health.Refresh(); len(changed) != 0 {
		t.Errorf("nothing has happened, and there is news of %s", names(changed))
	}

	writeFile(t, filepath.Join(h.images, "new/linux"), "plain text")
	if changed := names(health.Refresh()); changed != "installer" {
		t.Errorf("news of %q", changed)
	}
	if d := h.answer(health, uefi); d.Reason != bootmenu.ReasonWrongFile {
		t.Errorf("with a text for a kernel: %+v", d)
	}
	bios := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS}
	if d := h.answer(health, bios); d.Silent() {
		t.Errorf("a loader on a BIOS takes many kinds: %+v", d)
	}

	writeFile(t, filepath.Join(h.images, "new/linux"), linuxX64())
	if changed := names(health.Refresh()); changed != "installer" {
		t.Errorf("news of %q", changed)
	}
	if d := h.answer(health, uefi); d.Silent() || !d.ChoseLoader() {
		t.Errorf("with everything there: %+v", d)
	}

	if err := os.Remove(filepath.Join(h.images, "debian12/initrd.gz")); err != nil {
		t.Fatal(err)
	}
	health.Refresh()
	if d := h.answer(health, bios); d.Reason != bootmenu.ReasonFileMissing || d.Why != "matched every PXE client; but profile installer: debian12/initrd.gz is missing" {
		t.Errorf("after the initrd is gone: %+v", d)
	}
}

func TestAFileIsJudgedForTheMachineThatAsks(t *testing.T) {
	t.Parallel()
	script := "boot.ipxe"
	p := &bootmenu.Profile{Name: "p", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{BootFile: "efi/x64.efi"}, IPXE: bootmenu.Overlay{BootFile: &script}}
	h, health := watched(t, p)
	for _, c := range []struct {
		machine bootmenu.Machine
		want    bootmenu.Reason
	}{
		{bootmenu.Machine{Arch: bootmenu.ArchX64UEFI}, ""},
		{bootmenu.Machine{Arch: bootmenu.ArchX86UEFI}, bootmenu.ReasonWrongFile},
		{bootmenu.Machine{Arch: bootmenu.ArchX86BIOS}, bootmenu.ReasonWrongFile},
		{bootmenu.Machine{Arch: bootmenu.ArchX64UEFI, IPXE: true}, bootmenu.ReasonFileMissing},
		{bootmenu.Machine{Arch: 4711}, ""},
	} {
		for range 2 { // the second time from memory
			if d := h.answer(health, c.machine); d.Reason != c.want {
				t.Errorf("%+v: %+v, want %q", c.machine, d, c.want)
			}
		}
	}
}

func TestAnEntryThatCannotBeStartedIsNotInTheMenu(t *testing.T) {
	t.Parallel()
	good := &bootmenu.Profile{Name: "good", Title: "Good", Boot: bootmenu.Boot{BootFile: "efi/x64.efi"}}
	lost := &bootmenu.Profile{Name: "lost", Title: "Lost", Default: true, Boot: bootmenu.Boot{Kernel: "lost/linux"}}
	h, health := watched(t, good, lost)
	for _, ipxe := range []bool{false, true} {
		m := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI, IPXE: ipxe}
		d := h.answer(health, m)
		if h.Catalog().Select(m).Look.Default != "lost" || d.Look.Default != "" {
			t.Errorf("iPXE %v: the menu boots %q by itself, want the disk", ipxe, d.Look.Default)
		}
		if d.Silent() || names(d.Menu) != "good" || !strings.HasSuffix(d.Why, "; left out: profile lost: lost/linux is missing") {
			t.Errorf("iPXE %v: %+v", ipxe, d)
		}
		if entries := d.Entries(m); len(entries) != 1 || entries[0].Profile != "good" {
			t.Errorf("the firmware's own menu: %+v", entries)
		}
	}
	if err := os.Remove(filepath.Join(h.images, "efi/x64.efi")); err != nil {
		t.Fatal(err)
	}
	health.Refresh()
	m := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI}
	if d := h.answer(health, m); d.Reason != bootmenu.ReasonFileMissing || len(d.Entries(m)) != 0 || d.File != "" {
		t.Errorf("with no entry left: %+v", d)
	}
}

func TestALoaderThatIsGoneIsNotOffered(t *testing.T) {
	t.Parallel()
	h, health := watched(t, &bootmenu.Profile{Name: "p", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{Kernel: "debian12/linux"}})
	bios := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS}
	if d := h.answer(health, bios); d.Silent() {
		t.Fatalf("%+v", d)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(h.images), "ipxe/undionly.kpxe")); err != nil {
		t.Fatal(err)
	}
	if changed := names(health.Refresh()); changed != "p" {
		t.Errorf("news of %q", changed)
	}
	if d := h.answer(health, bios); d.Reason != bootmenu.ReasonFileMissing || !strings.Contains(d.Why, "undionly.kpxe cannot be read any more") {
		t.Errorf("%+v", d)
	}
}

// A verdict that is asked for while a reload is under way is not kept as that of the
// loaders before.
func TestLoadersThatAreNewAreKnownBeforeTheyAreInForce(t *testing.T) {
	t.Parallel()
	p := &bootmenu.Profile{Name: "p", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{BootFile: "ipxe.efi"}}
	h, health := watched(t, p)
	uefi := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI}
	if d := h.answer(health, uefi); d.Reason != bootmenu.ReasonFileMissing {
		t.Fatalf("without the loader: %+v", d)
	}
	dir := filepath.Join(filepath.Dir(h.images), "ipxe")
	writeFile(t, filepath.Join(dir, "ipxe.efi"), efi(0x8664))
	set := loaders.Scan([]string{dir})
	health.Watch([]*bootmenu.Profile{p}, set)
	for _, when := range []string{"before the plan is replaced", "after that"} {
		if d := h.answer(health, uefi); d.Silent() {
			t.Errorf("%s: %+v", when, d)
		}
		h.SetPlan(h.Catalog(), set)
	}
}

func TestSilenceForAnotherReasonKeepsItsReason(t *testing.T) {
	t.Parallel()
	h, health := watched(t, &bootmenu.Profile{Name: "p", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{Kernel: "nothing"}})
	if d := h.answer(health, bootmenu.Machine{Arch: bootmenu.ArchARM64UEFI}); d.Reason != bootmenu.ReasonNoLoader {
		t.Errorf("%+v", d)
	}
	health.Watch(nil, h.Loaders())
	if d := h.answer(health, bootmenu.Machine{Arch: bootmenu.ArchX64UEFI}); d.Silent() {
		t.Errorf("a profile that nobody looks after: %+v", d)
	}
}

// TestAnswersDoNotWaitForTheDisk asks while files are looked at; the race detector
// judges.
func TestAnswersDoNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	h, health := watched(t, &bootmenu.Profile{Name: "p", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{BootFile: "efi/x64.efi"}})
	health.looking.Lock() // a look that takes for ever
	if d := h.answer(health, bootmenu.Machine{Arch: bootmenu.ArchX64UEFI}); d.Silent() {
		t.Errorf("%+v", d)
	}
	health.looking.Unlock()
	var askers sync.WaitGroup
	for arch := range bootmenu.Arch(8) {
		askers.Go(func() {
			for range 100 {
				h.answer(health, bootmenu.Machine{Arch: arch})
			}
		})
	}
	for range 20 {
		health.Refresh()
	}
	askers.Wait()
}

func BenchmarkHealthCheck(b *testing.B) {
	t := &Tree{}
	health := NewHealth(t)
	p := &bootmenu.Profile{Name: "p", Boot: bootmenu.Boot{BootFile: "x"}}
	health.state.Store(&healthState{subjects: map[string]*subject{"p": {profile: p, verdicts: &sync.Map{}}}})
	d, m := bootmenu.Decision{Profile: "p", File: "x", Boot: p.Boot}, bootmenu.Machine{Arch: bootmenu.ArchX64UEFI}
	b.ReportAllocs()
	for b.Loop() {
		health.Check(d, m)
	}
}

// TestAnEntryMustBeRightForWhatDrawsTheMenu has a script for a kernel, which iPXE
// would run.
func TestAnEntryMustBeRightForWhatDrawsTheMenu(t *testing.T) {
	t.Parallel()
	script := &bootmenu.Profile{Name: "script", Boot: bootmenu.Boot{Kernel: "script.ipxe"}}
	linux := &bootmenu.Profile{Name: "linux", Boot: bootmenu.Boot{Kernel: "x64"}}
	h := newHouse(t)
	writeFile(t, filepath.Join(h.images, "script.ipxe"), "#!ipxe\n")
	writeFile(t, filepath.Join(h.images, "x64"), linuxX64())
	set := grubSet(t)
	health := NewHealth(h.Tree)
	profiles := []*bootmenu.Profile{linux, script}
	health.Watch(profiles, set)
	h.SetPlan(bootmenu.NewCatalog(profiles, set.Preferred(), bootmenu.Menu{Loader: bootmenu.LoaderGRUB}), set)
	uefi := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI}
	if d := h.answer(health, uefi); names(d.Menu) != "linux" || d.File != "loaders/x64-uefi/grub/grub.efi" {
		t.Errorf("GRUB would draw %q: %+v", names(d.Menu), d)
	}
	uefi.IPXE = true
	if d := h.answer(health, uefi); names(d.Menu) != "linux script" {
		t.Errorf("iPXE would draw %q: %+v", names(d.Menu), d)
	}
}
