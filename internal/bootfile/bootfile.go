// Package bootfile tells by its headers what a boot file is, and whether what is to
// start it can. It reads a small, bounded piece of the file.
package bootfile

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind is what a file is.
type Kind uint8

// The kinds that are told apart. A BIOS NBP has no header, so it is Unknown.
const (
	Unknown Kind = iota
	Empty
	EFIProgram     // a PE image that EFI firmware starts
	WindowsProgram // a PE image that it does not start
	BzImage        // Linux for x86
	ARMZImage      // Linux for 32-bit ARM
	ARM64Image     // Linux for 64-bit ARM
	RISCVImage     // Linux for RISC-V
	ELF
	UImage      // U-Boot's old image format
	UBootScript // a UImage that holds a script
	FIT         // U-Boot's new image format
	DeviceTree
	CPIO       // an archive, as an initrd is
	Compressed // and what is in it cannot be seen
	IPXEScript
	HTML
	Text
	ISO
	SquashFS
	WIM
)

// words are the kinds for people.
var words = map[Kind]string{
	Unknown:        "a file of an unknown kind",
	Empty:          "empty",
	EFIProgram:     "an EFI program",
	WindowsProgram: "a Windows program",
	BzImage:        "a Linux kernel",
	ARMZImage:      "a Linux kernel (zImage)",
	ARM64Image:     "a Linux kernel (Image)",
	RISCVImage:     "a Linux kernel (Image)",
	ELF:            "an ELF program",
	UImage:         "an image of U-Boot (uImage)",
	UBootScript:    "a script of U-Boot",
	FIT:            "an image of U-Boot (FIT)",
	DeviceTree:     "a device tree",
	CPIO:           "an initial RAM disk (cpio)",
	Compressed:     "a file",
	IPXEScript:     "an iPXE script",
	HTML:           "a web page",
	Text:           "plain text",
	ISO:            "an ISO image of a CD",
	SquashFS:       "a SquashFS file system",
	WIM:            "a Windows image (WIM)",
}

// CPU is the kind of machine that code is for, by the first part of the names that
// architectures have: "x64" as in x64-uefi.
type CPU string

// Info is what the headers of a file tell.
type Info struct {
	Kind        Kind
	CPU         CPU    // empty: they do not tell
	EFI         bool   // EFI firmware starts it: an EFI program, or a kernel with an EFI stub
	Compression string // "gzip": Kind is what is in it, or Compressed if that cannot be seen
	Damage      string // what is wrong with the header; empty if it is sound
}

// String is the file in words, with an article: "an EFI program for x64-uefi".
func (i Info) String() string {
	s := words[i.Kind]
	if i.CPU != "" {
		s += " for " + string(i.CPU)
	}
	if i.Kind == EFIProgram && i.CPU.known() {
		s += "-uefi"
	}
	if i.Kind == BzImage && !i.EFI {
		s += " without an EFI stub"
	}
	if i.Compression != "" {
		s += " compressed by " + i.Compression
	}
	if i.Damage != "" {
		s += ", and " + i.Damage
	}
	return s
}

// headSize is how much is read from the beginning of a file, in bytes. Linux's
// header for x86 ends before 0x290, a PE header mostly before 0x200.
const headSize = 1024

// A format recognises one kind of file by its beginning. more reads what lies
// behind.
type format func(head []byte, more io.ReaderAt) (Info, bool)

// formats are asked in this order, the first that knows the file wins: a kernel
// with an EFI stub is a kernel and an EFI program.
var formats = []format{linuxX86, linuxARM64, linuxARM, linuxRISCV, peFormat, elf, uImage, flattenedTree, magics, compressed, iso, text}

// Identify tells what r is. The error is that of reading.
func Identify(r io.ReaderAt) (Info, error) {
	head := make([]byte, headSize)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Info{}, err
	}
	if n == 0 {
		return Info{Kind: Empty}, nil
	}
	watched := &errorKeeper{r: r}
	info := identify(head[:n], watched)
	if info.Compression == "gzip" {
		info = inside(watched)
	}
	return info, watched.err
}

// identify asks the formats.
func identify(head []byte, more io.ReaderAt) Info {
	for _, known := range formats {
		if info, ok := known(head, more); ok {
			return info
		}
	}
	return Info{}
}

// errorKeeper remembers an error of reading, so that formats need not pass it on.
// The end of the file is none.
type errorKeeper struct {
	r   io.ReaderAt
	err error
}

func (k *errorKeeper) ReadAt(p []byte, off int64) (int, error) {
	n, err := k.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}

// at is the n bytes at an offset, nil if the file does not have them.
func at(head []byte, offset, n int) []byte {
	if offset < 0 || len(head) < offset+n {
		return nil
	}
	return head[offset : offset+n]
}

// hasAt tells whether text stands at an offset.
func hasAt(head []byte, offset int, text string) bool {
	return string(at(head, offset, len(text))) == text
}

// unknownMachine is the CPU of a machine number that has no row in a table.
func unknownMachine(n uint16) CPU { return CPU(fmt.Sprintf("the unknown machine type %#04x", n)) }

// known tells whether c is told, and has a name.
func (c CPU) known() bool { return c != "" && !strings.Contains(string(c), " ") }
