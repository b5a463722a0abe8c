package bootmenu

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testLoaders = Loaders{
	{Arch: ArchX86BIOS, Kind: LoaderIPXE}: "loaders/x86-bios/ipxe/undionly.kpxe",
	{Arch: ArchX64UEFI, Kind: LoaderIPXE}: "loaders/x64-uefi/ipxe/snponly.efi",
}

// text points at a string, as overlays want it.
func text(s string) *string { return &s }

func TestSelectDecidesWhatAMachineGets(t *testing.T) {
	t.Parallel()
	bios := Machine{MAC: mac(t, "52:54:00:12:34:56"), Arch: ArchX86BIOS}
	uefi := Machine{MAC: bios.MAC, Arch: ArchX64UEFI}
	ipxe := Machine{MAC: bios.MAC, Arch: ArchX86BIOS, IPXE: true}
	arm := Machine{MAC: bios.MAC, Arch: ArchARM64UEFI}

	qemu := &Match{MAC: macs(t, "52:54:00")}
	kernel := &Profile{Name: "debian", Match: qemu, Boot: Boot{Kernel: "linux", Initrd: []string{"initrd.gz"}}}
	board := &Profile{Name: "board", Match: qemu, Boot: Boot{BootFile: "MLO"}}
	byArch := &Profile{Name: "by-arch", Match: qemu, Arch: map[Arch]Overlay{ArchX64UEFI: {BootFile: text("grub.efi")}}, IPXE: Overlay{BootFile: text("hand.ipxe")}}
	pi := &Profile{Name: "pi", Match: qemu, Boot: Boot{Root: "boards/pi"}}
	disk := &Profile{Name: "disk", Match: qemu, Boot: Boot{Instead: InsteadDisk}}
	quiet := &Profile{Name: "quiet", Match: qemu, Boot: Boot{Instead: InsteadSilence}}
	menuEntry := &Profile{Name: "rescue", Boot: Boot{Kernel: "rescue"}}

	for name, c := range map[string]struct {
		profiles []*Profile
		machine  Machine
		file     string
		profile  string
		reason   Reason
	}{
		"BIOS gets the loader for a kernel":              {[]*Profile{kernel}, bios, "loaders/x86-bios/ipxe/undionly.kpxe", "debian", ""},
		"UEFI gets the loader for a kernel":              {[]*Profile{kernel}, uefi, "loaders/x64-uefi/ipxe/snponly.efi", "debian", ""},
		"iPXE gets the script":                           {[]*Profile{kernel}, ipxe, ScriptName, "debian", ""},
		"an arch without a loader gets silence":          {[]*Profile{kernel}, arm, "", "debian", ReasonNoLoader},
		"iPXE gets the script on an arch without loader": {[]*Profile{kernel}, Machine{MAC: bios.MAC, Arch: ArchARM64UEFI, IPXE: true}, ScriptName, "debian", ""},
		"a boot file is handed over as it is":            {[]*Profile{board}, arm, "MLO", "board", ""},
		"the arch's own boot file":                       {[]*Profile{byArch}, uefi, "grub.efi", "by-arch", ""},
		"[ipxe] stands above the arch":                   {[]*Profile{byArch}, Machine{MAC: bios.MAC, Arch: ArchX64UEFI, IPXE: true}, "hand.ipxe", "by-arch", ""},
		"an arch the profile has nothing for goes on":    {[]*Profile{byArch, menuEntry}, bios, "loaders/x86-bios/ipxe/undionly.kpxe", "", ""},
		"a machine nobody named gets the menu":           {[]*Profile{kernel, menuEntry}, Machine{MAC: mac(t, "02:00:00:00:00:01"), Arch: ArchX64UEFI, IPXE: true}, ScriptName, "", ""},
		"the menu needs a loader":                        {[]*Profile{menuEntry}, arm, "", "", ReasonNoMenuLoader},
		"a Raspberry Pi needs no more than a directory":  {[]*Profile{pi}, Machine{MAC: bios.MAC, Arch: ArchRPi}, "bootcode.bin", "pi", ""},
		"any other machine needs more":                   {[]*Profile{pi}, bios, "", "", ReasonNoProfile},
		"a Raspberry Pi starts a kernel by itself":       {[]*Profile{kernel}, Machine{MAC: bios.MAC, Arch: ArchRPi}, "bootcode.bin", "debian", ""},
		"BIOS is told to boot from disk without a file":  {[]*Profile{disk}, bios, "", "disk", ""},
		"UEFI is told to boot from disk without a file":  {[]*Profile{disk}, uefi, "", "disk", ""},
		"iPXE is told to boot from disk by a script":     {[]*Profile{disk}, ipxe, ScriptName, "disk", ""},
		"a board is told to boot from disk by silence":   {[]*Profile{disk}, Machine{MAC: bios.MAC, Arch: ArchARM64UBoot}, "", "disk", ReasonLocalBoot},
		"a profile may ask for silence":                  {[]*Profile{quiet}, ipxe, "", "quiet", ReasonLocalBoot},
		"no profile, no answer":                          {nil, bios, "", "", ReasonNoProfile},
		"a profile for others, no answer":                {[]*Profile{kernel}, Machine{MAC: mac(t, "02:00:00:00:00:01")}, "", "", ReasonNoProfile},
	} {
		d := NewCatalog(c.profiles, testLoaders, Menu{}).Select(c.machine)
		if d.File != c.file || d.Profile != c.profile || d.Reason != c.reason {
			t.Errorf("%s: got file %q, profile %q, reason %q, want %q, %q, %q", name, d.File, d.Profile, d.Reason, c.file, c.profile, c.reason)
		}
		if d.Why == "" {
			t.Errorf("%s: no word about which rule decided", name)
		}
	}
}

func TestSelectTakesTheNarrowestMatchWhateverTheOrder(t *testing.T) {
	t.Parallel()
	m := Machine{MAC: mac(t, "52:54:00:12:34:56"), Arch: ArchX64UEFI, Interface: "eth1", Addr: netip.MustParseAddr("198.18.3.4"), VendorClass: "PXEClient:Arch:00007"}
	boot := Boot{BootFile: "x"}
	// From the narrowest to the widest; each must win over all that follow.
	order := []*Profile{
		{Name: "z-exact", Match: &Match{MAC: macs(t, "52:54:00:12:34:56")}},
		{Name: "y-long-prefix", Match: &Match{MAC: macs(t, "52:54:00:12")}},
		{Name: "x-prefix-and-subnet", Match: &Match{MAC: macs(t, "52:54:00"), Subnet: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}}},
		{Name: "w-prefix", Match: &Match{MAC: macs(t, "52:54:00")}},
		{Name: "v-subnet", Match: &Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.18.3.0/24")}}},
		{Name: "u-wider-subnet", Match: &Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}}},
		{Name: "t-interface", Match: &Match{Interface: pattern(t, "eth1")}},
		{Name: "s-vendor", Match: &Match{VendorClass: pattern(t, "PXEClient*")}},
		{Name: "r-arch", Match: &Match{Arch: []Arch{ArchX64UEFI}}},
		{Name: "q-all-first", Match: &Match{All: true}, Priority: 5},
		{Name: "b-all", Match: &Match{All: true}},
		{Name: "c-all", Match: &Match{All: true}},
	}
	for _, p := range order {
		p.Boot = boot
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range order {
		rest := append([]*Profile(nil), order[i:]...)
		rng.Shuffle(len(rest), func(a, b int) { rest[a], rest[b] = rest[b], rest[a] })
		if d := NewCatalog(rest, nil, Menu{}).Select(m); d.Profile != order[i].Name {
			t.Errorf("of %d profiles %q won, want %q", len(rest), d.Profile, order[i].Name)
		}
	}
}

func TestOverlayReplacesSingleKeys(t *testing.T) {
	t.Parallel()
	base := Boot{Root: "r", Kernel: "linux", Initrd: []string{"a", "b"}, Cmdline: "quiet"}
	if got := base.With(Overlay{Cmdline: text("")}); got.Cmdline != "" || got.Kernel != "linux" || len(got.Initrd) != 2 {
		t.Errorf("empty command line: %+v", got)
	}
	if got := base.With(Overlay{BootFile: text("x.efi")}); got.Kernel != "" || got.Initrd != nil || got.Cmdline != "" || got.Root != "r" {
		t.Errorf("a boot file must take the kernel away: %+v", got)
	}
	if got := (Boot{BootFile: "x.efi"}).With(Overlay{Kernel: text("linux")}); got.BootFile != "" || got.Kernel != "linux" {
		t.Errorf("a kernel must take the boot file away: %+v", got)
	}
	if got := base.With(Overlay{Instead: InsteadDisk}); got.Kernel != "" || got.Initrd != nil || got.Instead != InsteadDisk {
		t.Errorf("the disk must take the kernel away: %+v", got)
	}
	if got := (Boot{Instead: InsteadDisk}).With(Overlay{Kernel: text("linux")}); got.Instead != InsteadNothing || got.Kernel != "linux" {
		t.Errorf("a kernel must take the disk away: %+v", got)
	}
	if got := (Boot{Instead: InsteadDisk}).With(Overlay{BootFile: text("x.efi")}); got.Instead != InsteadNothing || got.BootFile != "x.efi" {
		t.Errorf("a boot file must take the disk away: %+v", got)
	}
	if got := base.With(Overlay{Offer: StyleSkip}); got.Offer != StyleSkip || got.Kernel != "linux" {
		t.Errorf("a style: %+v", got)
	}
	limited := Boot{Kernel: "linux", TFTP: TFTPLimits{MaxWindowsize: 4}}
	if got := limited.With(Overlay{BootFile: text("x.efi")}); got.TFTP.MaxWindowsize != 4 {
		t.Errorf("the limits of TFTP are gone: %+v", got)
	}
	if got := base.With(Overlay{Initrd: []string{}}); len(got.Initrd) != 0 {
		t.Errorf("empty list of initrds: %+v", got)
	}
}

func TestChooseTakesAnEntryOfTheMenu(t *testing.T) {
	t.Parallel()
	menu := []*Profile{{Name: "a", Boot: Boot{Kernel: "ka"}}, {Name: "b", Boot: Boot{Kernel: "kb"}}}
	d := NewCatalog(menu, testLoaders, Menu{}).Select(Machine{Arch: ArchX64UEFI, IPXE: true})
	chosen, ok := d.Choose("b", Machine{Arch: ArchX64UEFI})
	if !ok || chosen.Profile != "b" || chosen.Boot.Kernel != "kb" {
		t.Errorf("chose %+v, %v", chosen, ok)
	}
	if again, ok := chosen.Choose("a", Machine{}); !ok || again.Profile != "a" {
		t.Errorf("a second choice from the same menu: %+v, %v", again, ok)
	}
	if _, ok := d.Choose("c", Machine{}); ok {
		t.Error("chose an entry that is not there")
	}
}

func TestEntriesAreWhatTheFirmwareCanBeOffered(t *testing.T) {
	t.Parallel()
	menu := []*Profile{
		{Name: "file", Boot: Boot{BootFile: "x.efi"}},
		{Name: "for-ipxe", IPXE: Overlay{BootFile: text("hand.ipxe")}},
		{Name: "kernel", Boot: Boot{Kernel: "linux"}},
	}
	own := &Profile{Name: "own", Match: &Match{All: true}, Boot: Boot{Kernel: "linux"}}
	loader := testLoaders[LoaderFor{ArchX64UEFI, LoaderIPXE}]
	for name, c := range map[string]struct {
		profiles []*Profile
		machine  Machine
		want     []string // profile and file
	}{
		"firmware gets a loader where it needs one": {menu, Machine{Arch: ArchX64UEFI}, []string{"file x.efi", "for-ipxe " + loader, "kernel " + loader}},
		"without a loader only boot files are left": {menu, Machine{Arch: ArchARM64UEFI}, []string{"file x.efi"}},
		"iPXE gets the script of each":              {menu, Machine{Arch: ArchARM64UEFI, IPXE: true}, []string{"file " + ScriptName, "for-ipxe " + ScriptName, "kernel " + ScriptName}},
		"a machine's own profile":                   {append(menu, own), Machine{Arch: ArchX64UEFI}, []string{"own " + loader}},
		"a profile that cannot boot":                {append(menu, own), Machine{Arch: ArchARM64UEFI}, nil},
		"no profile at all":                         {nil, Machine{Arch: ArchX64UEFI}, nil},
	} {
		var got []string
		for _, e := range NewCatalog(c.profiles, testLoaders, Menu{}).Select(c.machine).Entries(c.machine) {
			got = append(got, e.Profile+" "+e.File)
			if e.Silent() || len(e.Menu) > 0 {
				t.Errorf("%s: entry %+v", name, e)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOnlyALoaderThatWasChosenIsOne(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{"MLO": false, ScriptName: false, rpiFirstFile: false, "": false, testLoaders[LoaderFor{ArchX64UEFI, LoaderIPXE}]: true} {
		if got := (Decision{File: file, Boot: Boot{BootFile: "MLO"}}).ChoseLoader(); got != want {
			t.Errorf("%q: %v, want %v", file, got, want)
		}
	}
}

func TestTheMenuHasTheStyleOfItsFirstProfileWithOne(t *testing.T) {
	t.Parallel()
	d := NewCatalog([]*Profile{
		{Name: "a", Boot: Boot{Kernel: "k"}},
		{Name: "b", Boot: Boot{Kernel: "k"}, Arch: map[Arch]Overlay{ArchX64UEFI: {Offer: StyleMenu}}},
		{Name: "c", Boot: Boot{Kernel: "k", Offer: StyleSkip}},
	}, testLoaders, Menu{})
	for arch, want := range map[Arch]Style{ArchX64UEFI: StyleMenu, ArchX86BIOS: StyleSkip} {
		if got := d.Select(Machine{Arch: arch}).Boot.Offer; got != want {
			t.Errorf("%s: %q, want %q", arch, got, want)
		}
	}
}

func TestOptsInIsByVendorClassOfStartedProfiles(t *testing.T) {
	t.Parallel()
	c := NewCatalog([]*Profile{{Name: "u", Match: &Match{VendorClass: pattern(t, "U-Boot*")}}}, nil, Menu{})
	if !c.OptsIn("U-Boot.armv8") || c.OptsIn("MSFT 5.0") || c.OptsIn("") {
		t.Error("only U-Boot is opted in")
	}
}

func TestCandidatesSayByWhatAndWhyNot(t *testing.T) {
	t.Parallel()
	m := Machine{MAC: mac(t, "52:54:00:12:34:56"), Arch: ArchX64UEFI, UserClass: []string{"Lab1"}, Addr: netip.MustParseAddr("198.18.3.4")}
	boot := Boot{BootFile: "x"}
	profiles := []*Profile{
		{Name: "all", Match: &Match{All: true}, Boot: boot},
		{Name: "class", Match: &Match{UserClass: pattern(t, "lab*", "lab1"), Arch: []Arch{ArchX86BIOS, ArchX64UEFI}}, Boot: boot},
		{Name: "exact", Match: &Match{MAC: macs(t, "52:54:00:12:34:56")}},
		{Name: "high", Priority: 2, Match: &Match{MAC: macs(t, "02:00", "52:54")}, Boot: boot},
		{Name: "low", Priority: 1, Match: &Match{MAC: macs(t, "52:54")}, Boot: boot},
		{Name: "stranger", Match: &Match{MAC: macs(t, "02:00")}, Boot: boot},
		{Name: "subnet", Match: &Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}}, Boot: boot},
	}
	want := []Candidate{
		{"exact", "mac 52:54:00:12:34:56", "has nothing for x64-uefi"},
		{"high", "mac 52:54:*", ""},
		{"low", "mac 52:54:*", "priority 1 is lower than that of high, 2"},
		{"subnet", "subnet 198.18.0.0/16", "less narrow by mac than high"},
		{"class", "user class lab1, arch x64-uefi", "less narrow by mac than high"},
		{"all", "every PXE client", "less narrow by mac than high"},
	}
	if diff := cmp.Diff(want, NewCatalog(profiles, nil, Menu{}).Candidates(m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSummarySaysWhatTheFirmwaresMenuHasNoRoomFor(t *testing.T) {
	t.Parallel()
	var profiles []*Profile
	for i := range 40 {
		profiles = append(profiles, entry(0, "", fmt.Sprintf("Entry-%02d", i)))
	}
	if got := NewCatalog(profiles, nil, Menu{}).Summary(); got != "every other PXE client gets a menu of 40" {
		t.Errorf("iPXE's menu: got %s", got)
	}
	profiles[39].Arch = map[Arch]Overlay{ArchX86BIOS: {Offer: StyleMenu}}
	if got := NewCatalog(profiles, nil, Menu{}).Summary(); got != "every other PXE client gets a menu of 40, of which there is room for 10 where the firmware draws it" {
		t.Errorf("the firmware's: got %s", got)
	}
	if got := NewCatalog(profiles[35:], nil, Menu{}).Summary(); got != "every other PXE client gets a menu of 5" {
		t.Errorf("a short one: got %s", got)
	}
}

func TestSummarySaysWhoGetsWhat(t *testing.T) {
	t.Parallel()
	debian := &Profile{Name: "debian", Match: &Match{MAC: macs(t, "52:54:00"), Arch: []Arch{ArchX86BIOS, ArchX64UEFI}}}
	for want, profiles := range map[string][]*Profile{
		"no profile is started: nobody is answered":                                                      nil,
		"mac 52:54:00:*, arch x86-bios or x64-uefi gets debian; nobody else is answered":                 {debian},
		"mac 52:54:00:*, arch x86-bios or x64-uefi gets debian; every other PXE client gets a menu of 1": {debian, {Name: "m"}},
	} {
		if got := NewCatalog(profiles, nil, Menu{}).Summary(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
