package bootfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"netbootd/bootmenu"
)

// put is size bytes with parts written into them, those further behind last.
func put(size int, parts map[int]string) []byte {
	b := make([]byte, size)
	for _, offset := range slices.Sorted(maps.Keys(parts)) {
		copy(b[offset:], parts[offset])
	}
	return b
}

// pe is the beginning of a PE image (source: written from the PE/COFF
// specification).
func pe(machine uint16, subsystem byte) []byte {
	b := put(256, map[int]string{0: "MZ", 0x3c: "\x80", 0x80: "PE\x00\x00", 0x98: "\x0b\x02", 0xdc: string(subsystem)})
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	return b
}

// bzImage is the beginning of a kernel for x86 (source: written from
// Documentation/arch/x86/boot.rst), on top of a PE image if it has a stub.
func bzImage(xloadflags byte, stub []byte) []byte {
	return put(1024, map[int]string{0: string(stub), 0x202: "HdrS\x0f\x02", 0x236: string(xloadflags)})
}

// uImageOf is a header of U-Boot's (source: written from include/image.h).
func uImageOf(arch, kind byte) []byte {
	b := put(80, map[int]string{0: uImageMagic, 28: "\x05" + string(arch) + string(kind)})
	binary.BigEndian.PutUint32(b[offsetHeaderCRC:], crc32.ChecksumIEEE(b[:64]))
	return b
}

// fdt is a flattened tree of tokens (source: written from the Devicetree
// Specification).
func fdt(tokens ...any) []byte {
	var body []byte
	for _, t := range tokens {
		switch v := t.(type) {
		case int:
			body = binary.BigEndian.AppendUint32(body, uint32(v))
		case string:
			body = append(body, v...)
			body = append(body, make([]byte, 4-len(v)%4)...)
		}
	}
	b := put(sizeFDTHeader, map[int]string{0: fdtMagic})
	binary.BigEndian.PutUint32(b[offsetFDTStruct:], sizeFDTHeader+16)
	binary.BigEndian.PutUint32(b[offsetFDTStrings:], uint32(sizeFDTHeader+16+len(body)))
	b = append(b, make([]byte, 16)...) // the end of the memory reservations
	return append(append(b, body...), "arch\x00data\x00"...)
}

const (
	nameArch = 0 // in the block of names
	nameData = 5
)

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestIdentifyReadsHeaders(t *testing.T) {
	t.Parallel()
	arm64 := put(256, map[int]string{0: string(pe(0xaa64, 10)), 56: "ARM\x64"})
	broken := uImageOf(22, 2)
	broken[40] = 'x'
	fit := fdt(fdtBeginNode, "", fdtProp, 5, nameData, "time", fdtBeginNode, "images", fdtBeginNode, "kernel",
		fdtProp, 5, nameData, "xxxxx", fdtProp, 6, nameArch, "arm64", fdtEndNode)
	endless := fdt(fdtBeginNode, "")
	for range 2 * maxTokens {
		endless = append(endless, 0, 0, 0, fdtNop)
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":                       {nil, "empty"},
		"an EFI program":                {pe(0x8664, 10), "an EFI program for x64-uefi"},
		"an EFI driver":                 {pe(0xaa64, 12), "an EFI program for arm64-uefi"},
		"for a machine nobody knows":    {pe(0x1234, 10), "an EFI program for the unknown machine type 0x1234"},
		"a Windows program":             {pe(0x8664, 3), "a Windows program for x64"},
		"a kernel with its stub":        {bzImage(1, pe(0x8664, 10)), "a Linux kernel for x64"},
		"a kernel without":              {bzImage(1, nil), "a Linux kernel for x64 without an EFI stub"},
		"a 32-bit kernel":               {bzImage(0, nil), "a Linux kernel for x86 without an EFI stub"},
		"ARM64":                         {arm64, "a Linux kernel (Image) for arm64"},
		"ARM64, packed":                 {zipped(t, arm64), "a Linux kernel (Image) for arm64 compressed by gzip"},
		"zImage":                        {put(64, map[int]string{0x24: "\x18\x28\x6f\x01"}), "a Linux kernel (zImage) for arm32"},
		"RISC-V":                        {put(256, map[int]string{0: string(pe(0x5064, 10)), 0x38: "RSC\x05"}), "a Linux kernel (Image) for riscv64"},
		"ELF of 64 bits":                {put(64, map[int]string{0: "\x7fELF\x02\x01", 18: "\xf3\x00"}), "an ELF program for riscv64"},
		"ELF of 32 bits, big-endian":    {put(64, map[int]string{0: "\x7fELF\x01\x02", 18: "\x00\x14"}), "an ELF program for powerpc"},
		"a uImage":                      {uImageOf(22, 2), "an image of U-Boot (uImage) for arm64"},
		"a script":                      {uImageOf(2, 6), "a script of U-Boot"},
		"a uImage that is damaged":      {broken, "an image of U-Boot (uImage) for arm64, and the checksum of its header is wrong"},
		"a FIT":                         {fit, "an image of U-Boot (FIT) for arm64"},
		"a device tree":                 {fdt(fdtBeginNode, "", fdtBeginNode, "chosen", fdtEndNode, fdtEndNode, 9), "a device tree"},
		"one without end":               {endless, "a device tree"},
		"one that ends too early":       {fdt(fdtEndNode), "a device tree"},
		"an initrd":                     {[]byte("07070100"), "an initial RAM disk (cpio)"},
		"an initrd, packed":             {zipped(t, []byte("07070100")), "an initial RAM disk (cpio) compressed by gzip"},
		"something else, packed":        {zipped(t, []byte("hello")), "a file compressed by gzip"},
		"gzip that is cut":              {[]byte("\x1f\x8b\x08"), "a file compressed by gzip"},
		"xz":                            {[]byte("\xfd7zXZ\x00..."), "a file compressed by xz"},
		"zstd":                          {[]byte("\x28\xb5\x2f\xfd..."), "a file compressed by zstd"},
		"an iPXE script":                {[]byte("#!ipxe\nshell\n"), "an iPXE script"},
		"an error page":                 {[]byte("\n<!DOCTYPE HTML>\n<title>404"), "a web page"},
		"text":                          {[]byte("default linux\n"), "plain text"},
		"a CD":                          {put(0x9000, map[int]string{0x8001: "CD001"}), "an ISO image of a CD"},
		"squashfs":                      {[]byte("hsqs\x00\x01"), "a SquashFS file system"},
		"a Windows image":               {[]byte("MSWIM\x00\x00\x00\xd0"), "a Windows image (WIM)"},
		"an NBP":                        {[]byte("\xea\x24\x7c\x00\x00"), "a file of an unknown kind"},
		"a DOS program":                 {put(100, map[int]string{0: "MZ"}), "a file of an unknown kind"},
		"a PE header that is not there": {put(100, map[int]string{0: "MZ", 0x3c: "\xf0\xff\xff\xff"}), "a file of an unknown kind"},
	} {
		info, err := Identify(bytes.NewReader(c.file))
		if err != nil || info.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, info, err, c.want)
		}
	}
}

// TestIdentifyKnowsFilesOfDebian reads files that packages.sh installs for the unit
// tests, and this program itself.
func TestIdentifyKnowsFilesOfDebian(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/usr/lib/ipxe/snponly.efi":                          "an EFI program for x64-uefi",
		"/usr/lib/ipxe/undionly.kpxe":                        "a file of an unknown kind",
		"/usr/lib/ipxe/ipxe.lkrn":                            "a Linux kernel for x86 without an EFI stub",
		"/usr/lib/ipxe/ipxe.iso":                             "an ISO image of a CD",
		"/usr/lib/PXELINUX/pxelinux.0":                       "a file of an unknown kind",
		"/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi": "an EFI program for x64-uefi",
		"/usr/lib/grub/x86_64-efi/normal.mod":                "an ELF program for x64",
		"/usr/lib/syslinux/modules/bios/ldlinux.c32":         "an ELF program for x86",
		"/usr/lib/syslinux/modules/efi32/ldlinux.e32":        "an ELF program for x86",
		"/usr/share/doc/syslinux-common/copyright":           "plain text",
		"/usr/lib/os-release":                                "plain text",
	} {
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		info, err := Identify(f)
		if err != nil || info.String() != want {
			t.Errorf("%s: got %q, %v, want %q", path, info, err, want)
		}
		_ = f.Close()
	}
}

func TestIdentifyTellsOfErrors(t *testing.T) {
	t.Parallel()
	lost := errors.New("the disk is gone")
	for name, r := range map[string]failing{
		"at once":       {nil, lost},
		"for the PE":    {put(headSize, map[int]string{0: "MZ", 0x3c: "\x00\x10\x00"}), lost},
		"for the tree":  {put(headSize, map[int]string{0: fdtMagic, 8: "\x00\x01\x00\x00"}), lost},
		"behind a head": {put(headSize, map[int]string{0: "\x00"}), lost},
	} {
		if _, err := Identify(r); !errors.Is(err, lost) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing is a file of which only the beginning can be read.
type failing struct {
	head []byte
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(len(f.head)) {
		return 0, f.err
	}
	return copy(p, f.head[off:]), nil
}

func TestMachineTypeReadsTheHeader(t *testing.T) {
	t.Parallel()
	farPointer := pe(0x8664, 10)
	binary.LittleEndian.PutUint32(farPointer[offsetPEPointer:], 0xfffffff0)
	for name, c := range map[string]struct {
		file   []byte
		want   bootmenu.Arch
		notEFI bool
	}{
		"x64":                      {file: pe(0x8664, 10), want: bootmenu.ArchX64UEFI},
		"ia32":                     {file: pe(0x014c, 10), want: bootmenu.ArchX86UEFI},
		"arm64":                    {file: pe(0xaa64, 10), want: bootmenu.ArchARM64UEFI},
		"thumb":                    {file: pe(0x01c2, 10), want: bootmenu.ArchARM32UEFI},
		"riscv64":                  {file: pe(0x5064, 10), want: 27},
		"empty file":               {want: bootmenu.ArchUnknown, notEFI: true},
		"text":                     {file: []byte("#!ipxe\n"), want: bootmenu.ArchUnknown, notEFI: true},
		"header beyond the end":    {file: farPointer, want: bootmenu.ArchUnknown, notEFI: true},
		"DOS program without PE":   {file: append([]byte("MZ"), make([]byte, 100)...), want: bootmenu.ArchUnknown, notEFI: true},
		"machine nobody has heard": {file: pe(0x1234, 10), want: bootmenu.ArchUnknown},
	} {
		got, err := MachineType(bytes.NewReader(c.file))
		if got != c.want || errors.Is(err, ErrNotEFI) != c.notEFI || (got == bootmenu.ArchUnknown) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	for _, seed := range [][]byte{
		pe(0x8664, 10), bzImage(1, pe(0x8664, 10)), uImageOf(2, 2), []byte("\x1f\x8b\x08"), []byte("#!ipxe\n"),
		fdt(fdtBeginNode, "", fdtBeginNode, "images", fdtBeginNode, "k", fdtProp, 4, nameArch, "arm", fdtEndNode),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := Identify(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if (info.Kind == Empty) != (len(b) == 0) || info.String() == "" || strings.HasPrefix(info.String(), ",") {
			t.Errorf("got %+v", info)
		}
		for _, name := range bootmenu.ArchNames() {
			arch, err := bootmenu.ParseArch(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, role := range []Role{RoleBootFile, RoleKernel, RoleInitrd} {
				if c := Judge(info, Use{Role: role, Arch: arch}); c != nil && (c.Text == "" || role == RoleInitrd && !c.Warning) {
					t.Errorf("%s for %s: %+v", info, arch, c)
				}
			}
		}
	})
}
