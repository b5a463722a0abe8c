package bootmenu

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden compares with a file of testdata, or writes it with UPDATE=1.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// booting is the decision for a profile that boots b.
func booting(b Boot) Decision {
	return Decision{Profile: "debian", Title: "Debian 12 installer", Boot: b}
}

// Decisions that every loader is told of.
var (
	debian  = booting(Boot{Kernel: "debian12/linux", Initrd: []string{"debian12/initrd.gz"}, Cmdline: `console=ttyS0 dyndbg="file a.c +p" --- quiet`})
	board   = booting(Boot{Kernel: "board/Image", Initrd: []string{"board/initrd"}, FDT: "board/board.dtb", Cmdline: "console=ttyAMA0 $dollar 'quoted'"})
	alone   = booting(Boot{Kernel: "linux"})
	chained = booting(Boot{BootFile: "tools/memtest.efi"})
	toDisk  = booting(Boot{Instead: InsteadDisk})
	grouped = func() Decision {
		items := []*Profile{
			{Name: "memtest", Title: "Memory test", Boot: Boot{BootFile: "memtest.0"}},
			{Name: "debian", Title: "Debian's ^12", Group: "Installers", Boot: Boot{Kernel: "linux"}},
			{Name: "ubuntu", Title: "Ubuntu ${evil} $(evil)", Group: "Installers", Boot: Boot{Kernel: "linux"}},
			{Name: "rescue", Title: "Rescue; system", Group: "Tools & more", Boot: Boot{Kernel: "linux"}},
			{Name: "winpe", Title: "Only through iPXE", Boot: Boot{Windows: "winpe"}},
		}
		return Decision{Menu: items, Look: Menu{Title: "Lab 3", Default: "debian", Loader: LoaderGRUB}.of(items)}
	}()
)

// TestTextsOfEachLoader compares whole texts with testdata. Write them anew with
// UPDATE=1.
func TestTextsOfEachLoader(t *testing.T) {
	t.Parallel()
	pc, efi := Machine{Arch: ArchX86BIOS}, Machine{Arch: ArchX64UEFI}
	grub := func(d Decision, m Machine) func() ([]byte, error) {
		return func() ([]byte, error) { return GRUBConfig(d, m) }
	}
	pxelinux := func(d Decision, graphical bool) func() ([]byte, error) {
		return func() ([]byte, error) { return PXELINUXConfig(d, pc, graphical) }
	}
	script := func(d Decision, a Arch) func() ([]byte, error) {
		return func() ([]byte, error) {
			text, err := ubootText(d, Machine{Arch: a})
			return []byte(text), err
		}
	}
	for file, write := range map[string]func() ([]byte, error){
		"kernel.grub":          grub(debian, efi),
		"board.grub":           grub(booting(Boot{Kernel: "board/Image", FDT: "board/board.dtb"}), Machine{Arch: ArchARM64UEFI}),
		"boot-file-bios.grub":  grub(chained, pc),
		"boot-file-uefi.grub":  grub(chained, efi),
		"disk-bios.grub":       grub(toDisk, pc),
		"disk-uefi.grub":       grub(toDisk, efi),
		"menu.grub":            grub(grouped, efi),
		"kernel.pxelinux":      pxelinux(debian, true),
		"two-initrds.pxelinux": pxelinux(booting(Boot{Kernel: "k", Initrd: []string{"a", "b/c"}}), true),
		"boot-file.pxelinux":   pxelinux(chained, true),
		"disk.pxelinux":        pxelinux(toDisk, true),
		"menu.pxelinux":        pxelinux(grouped, true),
		"menu-plain.pxelinux":  pxelinux(grouped, false),
		"board.extlinux":       func() ([]byte, error) { return ExtlinuxConfig(board) },
		"alone.extlinux":       func() ([]byte, error) { return ExtlinuxConfig(alone) },
		"board-arm64.uboot":    script(board, ArchARM64UBoot),
		"alone-arm32.uboot":    script(alone, ArchARM32UBoot),
		"alone-unknown.uboot":  script(alone, ArchUnknown),
		"board.rpi-config":     func() ([]byte, error) { return RPiConfig(board) },
		"board.rpi-cmdline":    func() ([]byte, error) { return RPiCmdline(board) },
		"windows.ipxe": func() ([]byte, error) {
			return IPXEScript(booting(Boot{Windows: "winpe"}), Machine{Arch: ArchX64UEFI, IPXE: true}), nil
		},
	} {
		got, err := write()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		golden(t, file, got)
	}
}

func TestWhatALoaderCannotBeTold(t *testing.T) {
	t.Parallel()
	twoInitrds := booting(Boot{Kernel: "k", Initrd: []string{"a", "b"}})
	with := func(cmdline string) Decision { return booting(Boot{Kernel: "k", Cmdline: cmdline}) }
	named := func(kernel string) Decision { return booting(Boot{Kernel: kernel}) }
	grub := func(d Decision) error { _, err := GRUBConfig(d, Machine{}); return err }
	pxelinux := func(d Decision) error { _, err := PXELINUXConfig(d, Machine{}, true); return err }
	extlinux := func(d Decision) error { _, err := ExtlinuxConfig(d); return err }
	uboot := func(d Decision) error { _, err := UBootScript(d, Machine{}); return err }
	rpi := func(d Decision) error { _, err := RPiConfig(d); return err }
	for name, err := range map[string]error{
		"GRUB would put a backslash before the \\ in the command line":                                                      grub(with(`a\b`)),
		"GRUB would put a backslash before the ' in the command line":                                                       grub(with(`it's`)),
		"GRUB cannot pass on a double quote in the midst of a word, or one without its other half":                          grub(with(`a"b`)),
		"GRUB cannot start what profile debian boots":                                                                       grub(booting(Boot{Windows: "winpe"})),
		"PXELINUX cannot load \"my kernel\", for it has ' ' in its name":                                                    pxelinux(named("my kernel")),
		"PXELINUX cannot load \"a,b\", for it has ',' in its name":                                                          pxelinux(named("a,b")),
		"PXELINUX cannot start what profile debian boots":                                                                   pxelinux(booting(Boot{Windows: "winpe"})),
		"U-Boot takes one initrd, and profile debian has 2: join them into one file":                                        extlinux(twoInitrds),
		"U-Boot is told of a kernel only, and profile debian has none":                                                      uboot(chained),
		"U-Boot draws no menu of ours":                                                                                      extlinux(grouped),
		"U-Boot cannot load \"fit#config\", for it has '#' in its name":                                                     uboot(named("fit#config")),
		"a U-Boot script cannot pass on a backslash in the command line: versions of U-Boot differ in what they make of it": uboot(with(`a\b`)),
		"a Raspberry Pi is told of a kernel only, and there is none":                                                        rpi(chained),
		"a Raspberry Pi cannot load \"my kernel\", for it has ' ' in its name":                                              rpi(named("my kernel")),
		"a Raspberry Pi reads 98 bytes of a line of config.txt, and \"kernel=" + strings.Repeat("k", 92) + "\" has 99":      rpi(named(strings.Repeat("k", 92))),
	} {
		var why *TextError
		if !errors.As(err, &why) || err.Error() != name {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

// TestGRUBTakesTheTexts has the shell of GRUB parse each of them.
func TestGRUBTakesTheTexts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.grub")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if out, err := exec.Command("grub-script-check", f).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s (the Debian package grub-common has grub-script-check)", f, err, out)
		}
	}
}

// TestTheHeaderOfABootScript reads the image as U-Boot does.
func TestTheHeaderOfABootScript(t *testing.T) {
	t.Parallel()
	for arch, processor := range map[Arch]byte{ArchARM64UBoot: 22, ArchARM32UBoot: 2, ArchUnknown: 22} {
		image, err := UBootScript(board, Machine{Arch: arch})
		if err != nil {
			t.Fatal(err)
		}
		header, data := append([]byte(nil), image[:64]...), image[64:]
		word := func(offset int) uint32 { return binary.BigEndian.Uint32(header[offset:]) }
		sum := word(4)
		binary.BigEndian.PutUint32(header[4:], 0)
		text, err := ubootText(board, Machine{Arch: arch})
		switch {
		case err != nil:
			t.Error(err)
		case word(0) != 0x27051956 || sum != crc32.ChecksumIEEE(header):
			t.Errorf("header % x", header)
		case word(12) != uint32(len(data)) || word(24) != crc32.ChecksumIEEE(data):
			t.Errorf("data of %d bytes: header says %d with another checksum", len(data), word(12))
		case header[28] != 5 || header[29] != processor || header[30] != 6 || header[31] != 0:
			t.Errorf("kind % x, want Linux, %d, script, not packed", header[28:32], processor)
		case strings.TrimRight(string(header[32:]), "\x00") != "netbootd debian":
			t.Errorf("name %q", header[32:])
		case binary.BigEndian.Uint32(data) != uint32(len(text)) || binary.BigEndian.Uint32(data[4:]) != 0 || string(data[8:]) != text:
			t.Errorf("data %q", data)
		}
	}
	long, err := UBootScript(Decision{Profile: strings.Repeat("p", 63), Boot: Boot{Kernel: "k"}}, Machine{})
	if err != nil || long[63] != 0 {
		t.Errorf("a long name: % x, %v", long[32:64], err)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	m := Machine{
		MAC: MACFromBytes([]byte{0x52, 0x54, 0, 0xab, 0xcd, 0xef}), Arch: ArchX86BIOS, Addr: netip.MustParseAddr("198.18.1.2"),
		ID: ID{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8},
	}
	board, pi, unknown := m, m, m
	board.Arch, pi.Arch, unknown.Arch = ArchARM64UBoot, ArchRPi, ArchUnknown
	for _, c := range []struct {
		name   string
		m      Machine
		format Format // empty: none
		dir    string
	}{
		{"pxelinux.cfg/default", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/12345678-9abc-def0-0102-030405060708", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/78563412-bc9a-f0de-0102-030405060708", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/01-52-54-00-ab-cd-ef", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/01-52-54-00-ab-cd-ee", m, "", ""},
		{"pxelinux.cfg/C6120102", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/C61", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/C", m, FormatPXELINUX, "pxelinux.cfg"},
		{"pxelinux.cfg/C6120103", m, "", ""},
		{"pxelinux.cfg/", m, "", ""},
		{"loaders/x86-bios/pxelinux/pxelinux.cfg/default", m, FormatPXELINUX, "loaders/x86-bios/pxelinux/pxelinux.cfg"},
		{"pxelinux.cfg/default-arm-bcm283x-rpi", board, FormatExtlinux, "pxelinux.cfg"},
		{"pxelinux.cfg/default", unknown, FormatExtlinux, "pxelinux.cfg"},
		{"extlinux/extlinux.conf", board, FormatExtlinux, "extlinux"},
		{"extlinux/default", board, "", ""},
		{"grub/grub.cfg", m, FormatGRUB, "grub"},
		{"grub/grub.cfg-01-52-54-00-ab-cd-ef", m, FormatGRUB, "grub"},
		{"grub.cfg-C612", m, FormatGRUB, ""},
		{"grub/grub.cfg-", m, "", ""},
		{"grub/grub.cfg.bak", m, "", ""},
		{"boot.scr.uimg", board, FormatUBootScript, ""},
		{"boot.scr", unknown, FormatUBootScript, ""},
		{"x/boot.scr", board, "", ""},
		{"config.txt", pi, FormatRPiConfig, ""},
		{"cmdline.txt", pi, FormatRPiCmdline, ""},
		{"config.txt", m, "", ""},
		{"linux", m, "", ""},
	} {
		p, ok := ProbeFor(c.name, c.m)
		if ok != (c.format != "") || ok && (p.Format != c.format || p.Dir != c.dir) {
			t.Errorf("%s for %s: %+v, %v", c.name, c.m.Arch, p, ok)
		}
		if ok && c.format != FormatRPiConfig && c.format != FormatRPiCmdline && !IsLoaderText(c.name) {
			t.Errorf("%s is read by no loader", c.name)
		}
	}
}

func TestRPiPrefixes(t *testing.T) {
	t.Parallel()
	m := Machine{MAC: MACFromBytes([]byte{0xdc, 0xa6, 0x32, 1, 0x36, 0xc2})}
	for name, want := range map[string]string{
		"b00c1e57/config.txt":           "config.txt",
		"dc-a6-32-01-36-c2/start4.elf":  "start4.elf",
		"DC-A6-32-01-36-C2/overlays/a":  "overlays/a",
		"dc-a6-32-01-36-c3/config.txt":  "",
		"b00c1e5/config.txt":            "",
		"b00c1e57":                      "",
		"overlays/b00c1e57/config.dtbo": "",
	} {
		if _, rest, ok := WithoutRPiPrefix(name, m); ok != (want != "") || ok && rest != want {
			t.Errorf("%s: got %q, %v", name, rest, ok)
		}
	}
}
