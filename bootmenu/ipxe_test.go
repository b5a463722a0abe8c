package bootmenu

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIPXEScripts compares whole scripts with testdata/*.ipxe. Write them anew
// with UPDATE=1.
func TestIPXEScripts(t *testing.T) {
	t.Parallel()
	debian := Decision{File: ScriptName, Profile: "debian", Title: "Debian 12 installer", Boot: Boot{Kernel: "debian12/linux", Initrd: []string{"debian12/initrd.gz", "extra files/a+b.cpio"}, Cmdline: "console=ttyS0 --- quiet"}}
	plain := []*Profile{
		{Name: "debian", Title: "Debian 12 installer"},
		{Name: "disk", Title: "Disk tools ${evil} || poweroff; # & more"},
	}
	grouped := []*Profile{
		{Name: "memtest", Title: "Memory test"},
		{Name: "debian", Title: "Debian 12", Group: "Installers"},
		{Name: "ubuntu", Title: "Ubuntu", Group: "Installers"},
		{Name: "rescue", Title: "Rescue system", Group: "Tools & more"},
	}
	for file, c := range map[string]struct {
		d Decision
		m Machine
	}{
		"kernel-bios":  {debian, Machine{Arch: ArchX86BIOS}},
		"kernel-uefi":  {debian, Machine{Arch: ArchX64UEFI}},
		"kernel-alone": {Decision{Profile: "k", Title: "k", Boot: Boot{Kernel: "k"}}, Machine{Arch: ArchX64UEFI}},
		"boot-file":    {Decision{Profile: "memtest", Title: "Memory test", Boot: Boot{BootFile: "memtest.efi"}}, Machine{Arch: ArchX64UEFI}},
		"disk":         {Decision{Profile: "d", Title: "d", Boot: Boot{Instead: InsteadDisk}}, Machine{Arch: ArchX64UEFI}},
		"menu":         {Decision{File: ScriptName, Menu: plain, Look: Menu{}.of(plain)}, Machine{Arch: ArchX86BIOS}},
		"menu-grouped": {Decision{File: ScriptName, Menu: grouped, Look: Menu{Title: "Lab 3", Default: "debian", Timeout: -1}.of(grouped)}, Machine{Arch: ArchX64UEFI}},
	} {
		got := string(IPXEScript(c.d, c.m))
		path := filepath.Join("testdata", file+".ipxe")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestMenuEntryNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"netbootd/menu/debian-12.ipxe": FormatIPXE, "netbootd/menu/debian-12.grub": FormatGRUB, "netbootd/menu/debian-12.pxelinux": FormatPXELINUX} {
		if profile, f, ok := MenuEntry(name); !ok || profile != "debian-12" || f != want || f.entryName(profile) != name {
			t.Errorf("%s: got %q, %q, %v", name, profile, f, ok)
		}
	}
	for _, name := range []string{ScriptName, "netbootd/menu/debian", "menu/debian.ipxe"} {
		if _, _, ok := MenuEntry(name); ok {
			t.Errorf("%q is no entry", name)
		}
	}
}

func TestCheckPathAndCmdline(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"linux", "a/b/c", "with space", ".hidden", "ünï", "a..b"} {
		if err := CheckPath(name); err != nil {
			t.Errorf("CheckPath(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "/a", "a//b", "a/../b", "..", "./a", "a/", `a\b`, "a\nb"} {
		if CheckPath(name) == nil {
			t.Errorf("CheckPath(%q) found nothing", name)
		}
	}
	for _, c := range []string{"", "quiet splash", "a=b;c", "x=#1", "url=http://x/?a&&b"} {
		if err := CheckCmdline(c); err != nil {
			t.Errorf("CheckCmdline(%q): %v", c, err)
		}
	}
	for _, c := range []string{"a || b", "a && b", "a ; b", "# x", "a\nb"} {
		if CheckCmdline(c) == nil {
			t.Errorf("CheckCmdline(%q) found nothing", c)
		}
	}
}
