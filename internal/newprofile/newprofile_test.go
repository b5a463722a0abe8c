package newprofile

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"netbootd/internal/config"
)

// head is the beginning of a file with parts written into it.
func head(parts map[int]string) *fstest.MapFile {
	b := make([]byte, 1024)
	for offset, text := range parts {
		copy(b[offset:], text)
	}
	return &fstest.MapFile{Data: b}
}

// pe is the beginning of an EFI program.
func pe(machine uint16) *fstest.MapFile {
	f := head(map[int]string{0: "MZ", 0x3c: "\x80", 0x80: "PE\x00\x00"})
	binary.LittleEndian.PutUint16(f.Data[0x84:], machine)
	return f
}

var (
	linux64 = head(map[int]string{0x202: "HdrS\x0f\x02", 0x236: "\x01"})
	linux32 = head(map[int]string{0x202: "HdrS\x0f\x02"})
	arm64   = head(map[int]string{56: "ARM\x64"})
	cpio    = &fstest.MapFile{Data: []byte("070701")}
	text    = &fstest.MapFile{Data: []byte("text\n")}
	blob    = &fstest.MapFile{Data: []byte{0xea, 0, 1, 2}}
)

// scanned is what is found in a directory of files.
func scanned(t *testing.T, files fstest.MapFS, dir string) ([]Image, error) {
	t.Helper()
	disk := t.TempDir()
	if err := os.CopyFS(disk, files); err != nil {
		t.Fatal(err)
	}
	return Scan(os.DirFS(disk), dir)
}

// write is the text of a profile, which must be one.
func write(t *testing.T, r Request) string {
	t.Helper()
	b, err := Write(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Template, err)
	}
	if _, problems := config.ParseProfile(r.Name+".toml", b); len(problems) > 0 {
		t.Errorf("%s: %s\n%s", r.Template, problems, b)
	}
	return string(b)
}

func TestEveryTemplateWritesAGoodProfile(t *testing.T) {
	t.Parallel()
	installers := []string{"debian-installer", "esxi", "ubuntu"}
	templates := Templates()
	if len(templates) != len(fillers) {
		t.Errorf("%d templates, and %d ways to fill them", len(templates), len(fillers))
	}
	for _, one := range templates {
		if one.About == "" || strings.Contains(one.About, "<<") || strings.HasPrefix(one.About, "#") {
			t.Errorf("%s is about %q", one.Name, one.About)
		}
		for _, macs := range [][]string{{"52:54:00:12:34:56", "52:54:00:*"}, nil} {
			if macs == nil && fillers[one.Name].needsMAC {
				continue
			}
			got := write(t, Request{Name: "p", Template: one.Name, Images: "/srv/images", MACs: macs})
			once := strings.Contains(got, "\nonce = true\n")
			if once != slices.Contains(installers, one.Name) {
				t.Errorf("%s: once is %v", one.Name, once)
			}
			if listed := strings.Contains(got, "\nmac = [\"52:54:00:12:34:56\", \"52:54:00:*\"]\n"); listed != (macs != nil && !once) {
				t.Errorf("%s for %v:\n%s", one.Name, macs, got)
			}
			if strings.Contains(got, "\n\n\n") || strings.Contains(got, "<<") || !strings.HasPrefix(got, "# "+one.About) {
				t.Errorf("%s reads badly:\n%s", one.Name, got)
			}
		}
	}
}

func TestWriteNamesWhatADirectoryHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template string
		files    fstest.MapFS
		want     []string // lines
		absent   string
	}{
		"Debian's netboot tree": {
			"debian-installer",
			fstest.MapFS{"d/debian-installer/amd64/linux": linux64, "d/debian-installer/amd64/initrd.gz": cpio, "d/debian-installer/amd64/grubx64.efi": pe(0x8664), "d/version.info": text},
			[]string{`kernel = "d/debian-installer/amd64/linux"`, `initrd = ["d/debian-installer/amd64/initrd.gz"]`}, "[arch.",
		},
		"one tree for each machine type": {
			"debian-installer",
			fstest.MapFS{"d/amd64/linux": linux64, "d/amd64/initrd.gz": cpio, "d/arm64/linux": arm64, "d/arm64/initrd.gz": cpio, "d/i386/linux": linux32, "d/i386/initrd.gz": cpio},
			[]string{`kernel = "d/amd64/linux"`, "[arch.arm64-uefi]", `kernel = "d/arm64/linux"`, `initrd = ["d/arm64/initrd.gz"]`, "[arch.x86-uefi]", `kernel = "d/i386/linux"`}, "[arch.x86-bios]",
		},
		"the initrd of the kernel's version": {
			"kernel",
			fstest.MapFS{"d/vmlinuz-6.1": linux64, "d/vmlinuz-6.12": linux64, "d/initrd.img-6.1": cpio, "d/initrd.img-6.12": cpio, "d/System.map-6.1": text},
			[]string{`kernel = "d/vmlinuz-6.12"`, `initrd = ["d/initrd.img-6.12"]`}, "6.1\"",
		},
		"a kernel without initrd": {"kernel", fstest.MapFS{"d/Image": arm64}, []string{`kernel = "d/Image"`}, "initrd"},
		"a name with a quote":     {"kernel", fstest.MapFS{`d/a"b/linux`: linux64}, []string{`kernel = "d/a\"b/linux"`}, "initrd"},
		"casper":                  {"ubuntu", fstest.MapFS{"d/casper/vmlinuz": linux64, "d/casper/initrd": cpio, "d/casper/x.squashfs": blob}, []string{`kernel = "d/casper/vmlinuz"`, `initrd = ["d/casper/initrd"]`}, ""},
		"a board": {
			"board",
			fstest.MapFS{"d/MLO": blob, "d/Image": arm64, "d/initramfs.cpio": cpio, "d/readme": text},
			[]string{`root = "d"`, `boot_file = "MLO"`, "#   Image: a Linux kernel (Image) for arm64", "#   initramfs.cpio: an initial RAM disk (cpio)"}, "readme",
		},
		"a Raspberry Pi": {"rpi", fstest.MapFS{"d/boot/start4.elf": blob, "d/boot/config.txt": text}, []string{`root = "d/boot"`}, ""},
		"a Pi 5":         {"rpi", fstest.MapFS{"d/config.txt": text}, []string{`root = "d"`}, ""},
		"a script":       {"ipxe-script", fstest.MapFS{"d/a.txt": text, "d/b.ipxe": {Data: []byte("#!ipxe\n")}}, []string{`boot_file = "d/b.ipxe"`}, "a.txt"},
		"GRUB": {
			"grub",
			fstest.MapFS{"d/i386-pc/core.0": blob, "d/x86_64-efi/core.efi": pe(0x8664), "d/arm64-efi/core.efi": pe(0xaa64), "d/other.efi": pe(0x8664), "d/grub-odd.efi": pe(0x1234)},
			[]string{"[arch.x86-bios]", `boot_file = "d/i386-pc/core.0"`, "[arch.x64-uefi]", `boot_file = "d/x86_64-efi/core.efi"`, "[arch.arm64-uefi]"}, "odd",
		},
		"ESXi":       {"esxi", fstest.MapFS{"d/8/mboot.efi": pe(0x8664), "d/8/boot.cfg": text}, []string{`root = "d/8"`, `boot_file = "mboot.efi"`}, ""},
		"Windows":    {"windows-pe", fstest.MapFS{"d/pe/wimboot": linux64, "d/pe/sources/boot.wim": blob}, []string{`windows = "d/pe"`}, ""},
		"Memtest86+": {"memtest", fstest.MapFS{"d/memtest86+x64.bin": linux64, "d/memtest86+x64.efi": pe(0x8664), "d/memtest86+ia32.bin": linux32, "d/memtest86+ia32.efi": pe(0x014c)}, []string{`kernel = "d/memtest86+x64.bin"`, `boot_file = "d/memtest86+x64.efi"`}, "ia32"},
	} {
		found, err := scanned(t, c.files, "d")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := write(t, Request{Name: "p", Template: c.template, Dir: "d", Found: found, MACs: []string{"52:54:00:12:34:56"}})
		for _, line := range c.want {
			if !strings.Contains(got, "\n"+line+"\n") {
				t.Errorf("%s: no line %s in\n%s", name, line, got)
			}
		}
		if c.absent != "" && strings.Contains(got, c.absent) {
			t.Errorf("%s: %q is in\n%s", name, c.absent, got)
		}
	}
}

func TestWriteSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	found := []Image{{Name: "d/readme"}}
	for template, want := range map[string]string{
		"debian-installer": "d holds no Linux kernel whose name begins with one of vmlinuz, linux, Image, bzImage, zImage, kernel",
		"board":            "d holds none of MLO, ",
		"rpi":              "d holds neither start4.elf nor start.elf nor config.txt of a Raspberry Pi",
		"ipxe-script":      "d holds no file that begins with #!ipxe",
		"grub":             "d holds neither core.0 nor an EFI program whose name begins with core or grub",
		"esxi":             "d holds no mboot.efi; copy efi/boot/bootx64.efi of the ISO image to that name",
		"windows-pe":       "d holds no wimboot",
		"memtest":          "d holds no memtest86+x64.bin and memtest86+x64.efi",
		"nonsense":         `there is no template "nonsense"`,
	} {
		if _, err := Write(Request{Name: "p", Template: template, Dir: "d", Found: found}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", template, err)
		}
	}
	if _, err := Write(Request{Name: "p", Template: "board"}); err == nil || err.Error() != "a board is told by its address, and there is none: name it with --mac" {
		t.Errorf("a board without address: %v", err)
	}
}

func TestScanPassesOverWhatIsHidden(t *testing.T) {
	t.Parallel()
	found, err := scanned(t, fstest.MapFS{".netbootd/x": blob, "a/linux": linux64, "a/.git/y": blob}, ".")
	if err != nil || len(found) != 1 || found[0].Name != "a/linux" {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := scanned(t, nil, "nothing"); err == nil {
		t.Error("a directory that is not there: no error")
	}
	many := fstest.MapFS{}
	for i := range maxImages + 1 {
		many["d/"+strings.Repeat("x", i%100+1)+string(rune('a'+i/100))] = blob
	}
	if _, err := scanned(t, many, "d"); err == nil || !strings.Contains(err.Error(), "more than 5000 files") {
		t.Errorf("too many files: %v", err)
	}
}
