package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"netbootd/bootmenu"
)

func compareProfiles(t *testing.T, got, want bootmenu.Profile) {
	t.Helper()
	samePattern := cmp.Comparer(func(a, b bootmenu.Pattern) bool { return a == b })
	if diff := cmp.Diff(want, got, samePattern, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("profile differs (-want +got):\n%s", diff)
	}
}

func patterns(t *testing.T, texts ...string) []bootmenu.Pattern {
	t.Helper()
	var out []bootmenu.Pattern
	for _, s := range texts {
		p, err := bootmenu.ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestParseProfile(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		src  string
		want func(p *bootmenu.Profile)
	}{
		{"a kernel alone is an entry of the menu", `kernel = "linux"`, func(p *bootmenu.Profile) {
			p.Boot = bootmenu.Boot{Kernel: "linux"}
		}},
		{"all keys at the top", `
title = "Größer"
priority = -5
autostart = false
kernel = "d/linux"
initrd = ["d/one", "d/two"]
cmdline = "console=ttyS0 --- quiet"
root = "boards/x"`, func(p *bootmenu.Profile) {
			p.Title, p.Priority, p.Autostart = "Größer", -5, false
			p.Boot = bootmenu.Boot{Root: "boards/x", Kernel: "d/linux", Initrd: []string{"d/one", "d/two"}, Cmdline: "console=ttyS0 --- quiet"}
		}},
		{"all keys of match", `
boot_file = "MLO"
[match]
mac = ["52-54-00", "52:54:00:12:34:56"]
id = ["4C4C4544-*"]
serial = ["9CD5A1B2", "9c*"]
arch = [9, "x86-bios", 500]
vendor_class = ["U-Boot*"]
user_class = ["iPXE"]
interface = ["eth*"]
subnet = ["198.18.7.0/24"]
all = false`, func(p *bootmenu.Profile) {
			p.Boot.BootFile = "MLO"
			p.Match = &bootmenu.Match{
				MAC:         patterns(t, "52:54:00:*", "52:54:00:12:34:56"),
				ID:          patterns(t, "4c4c4544-*"),
				Serial:      patterns(t, "9cd5a1b2", "9c*"),
				Arch:        []bootmenu.Arch{bootmenu.ArchX64UEFI, bootmenu.ArchX86BIOS, 500},
				VendorClass: patterns(t, "u-boot*"),
				UserClass:   patterns(t, "ipxe"),
				Interface:   patterns(t, "eth*"),
				Subnet:      []netip.Prefix{netip.MustParsePrefix("198.18.7.0/24")},
			}
		}},
		{"every machine", "kernel = \"linux\"\nmatch = { all = true }", func(p *bootmenu.Profile) {
			p.Boot.Kernel = "linux"
			p.Match = &bootmenu.Match{All: true}
		}},
		{"by hand for each firmware", `
[match]
arch = ["x86-bios", "x64-uefi"]
[arch.X86-BIOS]
boot_file = "undionly.kpxe"
[arch.7]
boot_file = "snponly.efi"
[ipxe]
boot_file = "boot.ipxe"`, func(p *bootmenu.Profile) {
			p.Match = &bootmenu.Match{Arch: []bootmenu.Arch{bootmenu.ArchX86BIOS, bootmenu.ArchX64UEFI}}
			p.Arch = map[bootmenu.Arch]bootmenu.Overlay{
				bootmenu.ArchX86BIOS: {BootFile: new("undionly.kpxe")},
				bootmenu.ArchX64UEFI: {BootFile: new("snponly.efi")},
			}
			p.IPXE = bootmenu.Overlay{BootFile: new("boot.ipxe")}
		}},
		{"limits for what is fetched by TFTP", `
boot_file = "MLO"
[tftp]
max_blksize = 512
max_windowsize = 1
refuse_options = ["timeout"]`, func(p *bootmenu.Profile) {
			p.Boot = bootmenu.Boot{BootFile: "MLO", TFTP: bootmenu.TFTPLimits{MaxBlksize: 512, MaxWindowsize: 1, RefuseOptions: []string{"timeout"}}}
		}},
		{"only iPXE can boot it", "[match]\narch = [\"x64-uefi\"]\n[ipxe]\nkernel = \"linux\"", func(p *bootmenu.Profile) {
			p.Match = &bootmenu.Match{Arch: []bootmenu.Arch{bootmenu.ArchX64UEFI}}
			p.IPXE = bootmenu.Overlay{Kernel: new("linux")}
		}},
		{"an initrd for all kernels, which stand below", `
initrd = ["initrd"]
cmdline = ""
arch.x64-uefi.kernel = "linux64"
[arch.x86-bios]
kernel = "linux32"
initrd = []`, func(p *bootmenu.Profile) {
			p.Boot.Initrd = []string{"initrd"}
			p.Arch = map[bootmenu.Arch]bootmenu.Overlay{
				bootmenu.ArchX64UEFI: {Kernel: new("linux64")},
				bootmenu.ArchX86BIOS: {Kernel: new("linux32"), Initrd: []string{}},
			}
		}},
		{"a boot file, and a kernel for iPXE with what goes with it", `
boot_file = "a.efi"
cmdline = "quiet"
[ipxe]
kernel = "linux"
root = "ipxe"`, func(p *bootmenu.Profile) {
			p.Boot = bootmenu.Boot{BootFile: "a.efi", Cmdline: "quiet"}
			p.IPXE = bootmenu.Overlay{Kernel: new("linux"), Root: new("ipxe")}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, problems := ParseProfile("profiles.d/rpi4.toml", []byte(c.src))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			want := bootmenu.Profile{Name: "rpi4", Title: "rpi4", Autostart: true}
			c.want(&want)
			compareProfiles(t, got, want)
		})
	}
}

func TestStyleAndWhatIsGotInstead(t *testing.T) {
	t.Parallel()
	p, problems := ParseProfile("lab.toml", []byte(`
kernel = "linux"
offer = "menu"
[match]
all = true
[arch.x86-bios]
boot = "disk"
[arch.arm64-uefi]
offer = "skip"
[arch.rpi]
root = "boards/pi"
[ipxe]
offer = "bare"
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, c := range map[string]struct {
		machine bootmenu.Machine
		want    bootmenu.Boot
	}{
		"the top":               {bootmenu.Machine{Arch: bootmenu.ArchX64UEFI}, bootmenu.Boot{Kernel: "linux", Offer: bootmenu.StyleMenu}},
		"an arch":               {bootmenu.Machine{Arch: bootmenu.ArchARM64UEFI}, bootmenu.Boot{Kernel: "linux", Offer: bootmenu.StyleSkip}},
		"the disk":              {bootmenu.Machine{Arch: bootmenu.ArchX86BIOS}, bootmenu.Boot{Instead: bootmenu.InsteadDisk, Offer: bootmenu.StyleMenu}},
		"the disk, for iPXE":    {bootmenu.Machine{Arch: bootmenu.ArchX86BIOS, IPXE: true}, bootmenu.Boot{Instead: bootmenu.InsteadDisk, Offer: bootmenu.StyleBare}},
		"a Raspberry Pi's root": {bootmenu.Machine{Arch: bootmenu.ArchRPi}, bootmenu.Boot{Kernel: "linux", Root: "boards/pi", Offer: bootmenu.StyleMenu}},
	} {
		if diff := cmp.Diff(c.want, p.BootFor(c.machine)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, problems := ParseProfile("pi.toml", []byte("root = \"boards/pi\"\n[match]\narch = [\"rpi\"]\n")); len(problems) > 0 {
		t.Errorf("root is enough for a Raspberry Pi: %v", problems)
	}
}
