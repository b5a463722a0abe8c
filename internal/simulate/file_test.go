package simulate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// efi is the head of an EFI program of a machine type.
func efi(machine uint16) string {
	b := make([]byte, 1024)
	copy(b, "MZ")
	b[0x3c] = 64
	copy(b[64:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[68:], machine)
	return string(b)
}

// kernel is f with the header of a Linux kernel.
func kernel(f string) string { return f[:0x202] + "HdrS" + f[0x206:] }

func TestClientsJudgeFiles(t *testing.T) {
	t.Parallel()
	const (
		x64  = 0x8664
		ia32 = 0x014c
		arm  = 0xaa64
	)
	raw := "\xeb\xfe" + strings.Repeat("a boot loader ", 100)
	for _, c := range []struct{ name, client, file, content, want string }{
		{"an empty file", "bios", "a", "", `the boot file "a" is empty`},
		{"an NBP for BIOS", "bios", "a.0", raw, ""},
		{"an EFI program for BIOS", "bios", "a.efi", efi(x64), `the boot file "a.efi" is an EFI program for x64-uefi, and bios loads programs for the BIOS`},
		{"a kernel for BIOS", "bios", "linux", kernel(efi(x64)), `the boot file "linux" is a Linux kernel, and bios loads a boot loader`},
		{"x64 for x64", "uefi-x64", "a.efi", efi(x64), ""},
		{"x64 for ia32", "uefi-x86", "d/a.efi", efi(x64), `the boot file "a.efi" is an EFI program for x64-uefi, and uefi-x86 starts those for x86-uefi`},
		{"ia32 for x64", "uefi-x64", "a.efi", efi(ia32), `the boot file "a.efi" is an EFI program for x86-uefi, and uefi-x64 starts those for x64-uefi`},
		{"an unknown machine type", "uefi-x64", "a.efi", efi(0x1234), `the boot file "a.efi" is an EFI program for an unknown machine type, and uefi-x64 starts those for x64-uefi`},
		{"an NBP for UEFI", "uefi-arm64", "a.0", raw, `the boot file "a.0" is no EFI program, and uefi-arm64 starts nothing else`},
		{"an EFI program by HTTP", "uefi-http", "http://h/a.efi", efi(x64), ""},
		{"one for ARM by HTTP", "uefi-http", "http://h/a.efi", efi(arm), `the boot file "a.efi" is an EFI program for arm64-uefi, and uefi-http starts those for x64-uefi`},
		{"a disk image by HTTP", "uefi-http", "http://h/a.ISO", raw, ""},
		{"a script for iPXE", "ipxe-x64", "boot.ipxe", "#!ipxe\n", ""},
		{"a kernel for iPXE on BIOS", "ipxe", "linux", kernel(efi(x64)), ""},
		{"an EFI program for iPXE on BIOS", "ipxe", "a.efi", efi(x64), `the boot file "a.efi" is an EFI program for x64-uefi, and ipxe loads programs for the BIOS`},
		{"an NBP for iPXE on UEFI", "ipxe-x64", "a.0", raw, `the boot file "a.0" is no EFI program, and ipxe-x64 starts nothing else`},
		{"a script for U-Boot", "uboot", "boot.scr", raw, ""},
		{"an x64 program for U-Boot", "uboot", "a.efi", efi(x64), `the boot file "a.efi" is an EFI program for x64-uefi, and uboot starts those for arm64-uefi`},
		{"a Pi's firmware", "rpi4", "start4.elf", raw, ""},
	} {
		s := newSink()
		for part := range strings.SplitSeq(c.content, " ") {
			_, _ = s.Write([]byte(part + " "))
		}
		if c.content == "" {
			s = newSink()
		}
		got := ""
		if fault := playing(t, c.client).judge(s.file(c.file)); fault != nil {
			got = fault.Text
			if fault.Step != StepLoader {
				t.Errorf("%s: step %s", c.name, fault.Step)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSinkKeepsTheHashAndTheHead(t *testing.T) {
	t.Parallel()
	content := []byte(strings.Repeat("0123456789abcdef", 3*headSize/16))
	s := newSink()
	for rest := content; len(rest) > 0; {
		n := min(1468, len(rest))
		_, _ = s.Write(rest[:n])
		rest = rest[n:]
	}
	sum := sha256.Sum256(content)
	f := s.file("a")
	if f.Size != int64(len(content)) || f.SHA256 != hex.EncodeToString(sum[:]) || len(f.head) != headSize {
		t.Errorf("%d bytes, sha256 %s, %d of them kept", f.Size, f.SHA256, len(f.head))
	}
}
