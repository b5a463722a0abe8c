package bootmenu

import (
	"strings"
	"testing"
)

func TestAssignmentsStandAboveWhatMatches(t *testing.T) {
	t.Parallel()
	bios := Machine{MAC: mac(t, "52:54:00:12:34:56"), Arch: ArchX86BIOS}
	ipxe := Machine{MAC: bios.MAC, Arch: ArchX86BIOS, IPXE: true}
	board := Machine{MAC: bios.MAC, Arch: ArchARM64UBoot}

	installer := &Profile{Name: "installer", Once: true, Boot: Boot{Kernel: "linux"}}
	rescue := &Profile{Name: "rescue", Boot: Boot{Kernel: "rescue"}}
	matching := &Profile{Name: "matching", Match: &Match{All: true}, Boot: Boot{Kernel: "usual"}}
	efi := &Profile{Name: "efi", Match: &Match{Arch: []Arch{ArchX64UEFI}}, Arch: map[Arch]Overlay{ArchX64UEFI: {BootFile: text("grub.efi")}}}
	menu := []*Profile{installer, rescue}
	all := append([]*Profile{matching, efi}, menu...)

	once, pinned, done := Assignment{1, "installer"}, Assignment{2, "rescue"}, Assignment{3, "installer"}
	for name, c := range map[string]struct {
		profiles []*Profile
		machine  Machine
		assigned Assignments
		profile  string
		file     string
		reason   Reason
		kind     AssignmentKind
		why      string
	}{
		"without any the best match counts":             {all, ipxe, Assignments{}, "matching", ScriptName, "", "", "matched"},
		"once stands above pinned":                      {all, ipxe, Assignments{Once: once, Pinned: pinned}, "installer", ScriptName, "", AssignedOnce, "assigned to profile installer (once)"},
		"pinned stands above the best match":            {all, ipxe, Assignments{Pinned: pinned, Done: done}, "rescue", ScriptName, "", AssignedPinned, "assigned to profile rescue (pinned)"},
		"what is consumed gives way to the best match":  {all, ipxe, Assignments{Done: done}, "matching", ScriptName, "", "", "matched"},
		"what is consumed stands above the menu":        {menu, ipxe, Assignments{Done: done}, "", ScriptName, "", AssignedDone, "boots from disk"},
		"what is consumed stands above nothing":         {nil, bios, Assignments{Done: done}, "", "", "", AssignedDone, "boots from disk"},
		"a board is told to boot from disk by silence":  {menu, board, Assignments{Done: done}, "", "", ReasonLocalBoot, AssignedDone, "boots from disk"},
		"once gives the firmware its loader":            {all, bios, Assignments{Once: once}, "installer", testLoaders[LoaderFor{ArchX86BIOS, LoaderIPXE}], "", AssignedOnce, ""},
		"a profile that is gone is not made up for":     {all, ipxe, Assignments{Once: Assignment{1, "gone"}}, "", "", ReasonAssignedGone, AssignedOnce, "does not exist any more"},
		"nor one that is not started":                   {all, ipxe, Assignments{Pinned: Assignment{1, "stopped"}}, "", "", ReasonAssignedStopped, AssignedPinned, "is not started"},
		"without a loader it is told who chose it":      {all, Machine{MAC: bios.MAC, Arch: ArchARM64UEFI}, Assignments{Pinned: pinned}, "rescue", "", ReasonNoLoader, AssignedPinned, "assigned to profile rescue (pinned); but there is no "},
		"nor one that has nothing for the arch":         {all, bios, Assignments{Pinned: Assignment{1, "efi"}}, "", "", ReasonAssignedUnfit, AssignedPinned, "has nothing for x86-bios"},
		"a profile that says once is given once only":   {all, ipxe, Assignments{Pinned: once}, "", "", ReasonAssignedUnfit, AssignedPinned, "says once = true"},
		"an installer is in no menu and matches nobody": {[]*Profile{installer}, ipxe, Assignments{}, "", "", ReasonNoProfile, "", ""},
	} {
		d := NewCatalog(c.profiles, testLoaders, Menu{}, "stopped").SelectFor(c.machine, c.assigned)
		if d.Profile != c.profile || d.File != c.file || d.Reason != c.reason || d.Assigned != c.kind || !strings.Contains(d.Why, c.why) {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

func TestWhatConsumesAnAssignment(t *testing.T) {
	t.Parallel()
	addr := mac(t, "52:54:00:12:34:56")
	bios, uefi := Machine{MAC: addr, Arch: ArchX86BIOS}, Machine{MAC: addr, Arch: ArchX64UEFI}
	ipxe := Machine{MAC: addr, Arch: ArchX64UEFI, IPXE: true}
	pi, uboot, unknown := Machine{MAC: addr, Arch: ArchRPi}, Machine{MAC: addr, Arch: ArchARM64UBoot}, Machine{MAC: addr, Arch: ArchUnknown}

	kernel := Profile{Boot: Boot{Kernel: "debian/linux", Initrd: []string{"debian/initrd.gz"}}}
	callback := Profile{Boot: kernel.Boot, Consumed: ConsumedCallback}
	board := Profile{Boot: Boot{BootFile: "MLO"}}
	chain := Profile{Boot: Boot{BootFile: "snponly.efi"}, IPXE: Overlay{BootFile: text("hand.ipxe")}}
	byArch := Profile{Boot: Boot{Kernel: "linux"}, Arch: map[Arch]Overlay{ArchARM64UBoot: {Kernel: text("arm/Image")}, ArchX64UEFI: {Kernel: text("x64/linux")}}}
	forIPXE := Profile{Boot: kernel.Boot, IPXE: Overlay{Kernel: text("ipxe/linux")}}
	root := Profile{Boot: Boot{Root: "boards/pi"}}
	windows := Profile{Boot: Boot{Windows: "win11"}}
	for name, c := range map[string]struct {
		profile Profile
		machine Machine
		file    string
		want    bool
	}{
		"the kernel does, after the firmware's decision":     {kernel, bios, "debian/linux", true},
		"the kernel does, after iPXE's decision":             {kernel, ipxe, "debian/linux", true},
		"case does not matter, as in looking it up":          {kernel, ipxe, "DEBIAN/linux", true},
		"an initrd does not":                                 {kernel, ipxe, "debian/initrd.gz", false},
		"the loader does not":                                {kernel, uefi, "loaders/x64-uefi/ipxe/snponly.efi", false},
		"the script does not":                                {kernel, ipxe, ScriptName, false},
		"a boot file does":                                   {board, uboot, "MLO", true},
		"a boot file that iPXE comes back for does not":      {chain, uefi, "snponly.efi", false},
		"what iPXE comes back for does":                      {chain, ipxe, "hand.ipxe", true},
		"a board never runs iPXE":                            {chain, uboot, "snponly.efi", true},
		"GRUB's kernel does, whatever iPXE would start":      {forIPXE, bios, "debian/linux", true},
		"iPXE's kernel does":                                 {forIPXE, ipxe, "ipxe/linux", true},
		"a machine without DHCP may be of any arch":          {byArch, unknown, "arm/Image", true},
		"a machine with one is of that":                      {byArch, uefi, "arm/Image", false},
		"a Raspberry Pi's kernel does, by its own name":      {root, pi, "1a2b3c4d/kernel8.img", true},
		"a Raspberry Pi's firmware does not":                 {root, pi, "1a2b3c4d/start4.elf", false},
		"a Raspberry Pi puts its serial number in front":     {kernel, pi, "1a2b3c4d/debian/linux", true},
		"Windows does, whatever its directory's case":        {windows, ipxe, "Win11/Sources/BOOT.WIM", true},
		"Windows from elsewhere does not":                    {windows, ipxe, "win10/sources/boot.wim", false},
		"with a callback no file does":                       {callback, bios, "debian/linux", false},
		"the callback does":                                  {callback, bios, DoneName, true},
		"the callback does also where the kernel would have": {kernel, bios, DoneName, true},
	} {
		c.profile.Name = "p"
		d := NewCatalog([]*Profile{&c.profile}, testLoaders, Menu{}).SelectFor(c.machine, Assignments{Once: Assignment{7, "p"}})
		want := AssignmentID(0)
		if c.want {
			want = 7
		}
		if got := d.ConsumedBy(c.file, c.machine); got != want {
			t.Errorf("%s: %s consumes %d, want %d", name, c.file, got, want)
		}
	}
	pinned := NewCatalog([]*Profile{{Name: "p", Boot: kernel.Boot}}, testLoaders, Menu{}).SelectFor(ipxe, Assignments{Pinned: Assignment{7, "p"}})
	if got := pinned.ConsumedBy("debian/linux", ipxe); got != 0 {
		t.Errorf("what is pinned is consumed: %d", got)
	}
}

func TestTheSummaryKnowsWhatIsGivenOnceOnly(t *testing.T) {
	t.Parallel()
	c := NewCatalog([]*Profile{{Name: "p", Once: true, Match: &Match{All: true}}}, nil, Menu{})
	if got, want := c.Summary(), "only machines that are assigned to a profile are answered"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDoneTextSaysWhatIsNoted(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]Decision{
		"netbootd: noted, this machine is done with profile p\n": {Profile: "p", Assigned: AssignedOnce},
		"netbootd: nothing is assigned to this machine once\n":   {Profile: "p", Assigned: AssignedPinned},
	} {
		if got := string(DoneText(d)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
