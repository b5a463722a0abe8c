package bootmenu

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

var testLoaders = Loaders{
	ArchX86BIOS: "loaders/x86-bios/ipxe/undionly.kpxe",
	ArchX64UEFI: "loaders/x64-uefi/ipxe/snponly.efi",
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
		"no profile, no answer":                          {nil, bios, "", "", ReasonNoProfile},
		"a profile for others, no answer":                {[]*Profile{kernel}, Machine{MAC: mac(t, "02:00:00:00:00:01")}, "", "", ReasonNoProfile},
	} {
		d := NewCatalog(c.profiles, testLoaders).Select(c.machine)
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
		if d := NewCatalog(rest, nil).Select(m); d.Profile != order[i].Name {
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
	d := NewCatalog(menu, testLoaders).Select(Machine{Arch: ArchX64UEFI, IPXE: true})
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

func TestOptsInIsByVendorClassOfStartedProfiles(t *testing.T) {
	t.Parallel()
	c := NewCatalog([]*Profile{{Name: "u", Match: &Match{VendorClass: pattern(t, "U-Boot*")}}}, nil)
	if !c.OptsIn("U-Boot.armv8") || c.OptsIn("MSFT 5.0") || c.OptsIn("") {
		t.Error("only U-Boot is opted in")
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
		if got := NewCatalog(profiles, nil).Summary(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func BenchmarkSelectOf1000Profiles(b *testing.B) {
	var profiles []*Profile
	for i := range 1000 {
		m := MACFromBytes([]byte{2, 0, 0, 0, byte(i >> 8), byte(i)})
		p, _ := ParseMACPattern(m.String())
		profiles = append(profiles, &Profile{Name: m.String(), Match: &Match{MAC: []Pattern{p}}, Boot: Boot{BootFile: "x"}})
	}
	c := NewCatalog(profiles, nil)
	m := Machine{MAC: MACFromBytes([]byte{2, 0, 0, 0, 3, 200}), Arch: ArchX64UEFI}
	for b.Loop() {
		c.Select(m)
	}
}
