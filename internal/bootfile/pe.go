package bootfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"netbootd/bootmenu"
)

// ErrNotEFI is a file without the header of an EFI program.
var ErrNotEFI = errors.New("not an EFI program")

// Offsets in a PE file (Microsoft PE/COFF specification, sections 2.1, 3.3 and 3.4).
const (
	offsetPEPointer  = 0x3c
	sizeDOSHeader    = 0x40
	offsetOptional   = 24 // from the signature "PE\0\0"
	offsetSubsystem  = offsetOptional + 68
	sizePEHeader     = offsetSubsystem + 2
	magicPE32        = 0x10b
	magicPE32Plus    = 0x20b
	efiApplication   = 10 // the first of the EFI subsystems
	efiROM           = 13 // and the last
	unknownSubsystem = 0
)

// peMachines are the machine types of PE headers (the same specification,
// section 3.3.1).
var peMachines = map[uint16]CPU{
	0x014c: "x86",
	0x8664: "x64",
	0x01c0: "arm32",
	0x01c2: "arm32", // Thumb, which EFI for ARM32 is built as
	0x01c4: "arm32",
	0xaa64: "arm64",
	0x5032: "riscv32",
	0x5064: "riscv64",
	0x6232: "loongarch32",
	0x6264: "loongarch64",
}

// MachineType is the architecture that an EFI program is for, read from its PE
// header. It returns [ErrNotEFI] for any other file.
func MachineType(r io.ReaderAt) (bootmenu.Arch, error) {
	dos := make([]byte, sizeDOSHeader)
	n, err := r.ReadAt(dos, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return bootmenu.ArchUnknown, err
	}
	watched := &errorKeeper{r: r}
	info, ok := peFormat(dos[:n], watched)
	if watched.err != nil {
		return bootmenu.ArchUnknown, watched.err
	}
	if !ok || info.Kind != EFIProgram {
		return bootmenu.ArchUnknown, ErrNotEFI
	}
	arch, err := bootmenu.ParseArch(string(info.CPU) + "-uefi")
	if err != nil {
		return bootmenu.ArchUnknown, fmt.Errorf("EFI program for %s", info.CPU)
	}
	return arch, nil
}

// peFormat recognises a PE image.
func peFormat(head []byte, more io.ReaderAt) (Info, bool) {
	if !hasAt(head, 0, "MZ") || len(head) < sizeDOSHeader {
		return Info{}, false
	}
	header := make([]byte, sizePEHeader)
	n, _ := more.ReadAt(header, int64(binary.LittleEndian.Uint32(head[offsetPEPointer:]))) // errorKeeper has the error
	header = header[:n]
	if !hasAt(header, 0, "PE\x00\x00") || n < len("PE\x00\x00")+2 {
		return Info{}, false
	}
	machine := binary.LittleEndian.Uint16(header[4:])
	cpu, ok := peMachines[machine]
	if !ok {
		cpu = unknownMachine(machine)
	}
	info := Info{Kind: EFIProgram, CPU: cpu, EFI: true}
	if s := subsystem(header); s != unknownSubsystem && (s < efiApplication || s > efiROM) {
		info.Kind, info.EFI = WindowsProgram, false
	}
	return info, true
}

// subsystem is what a PE image runs under, unknownSubsystem if it does not tell.
func subsystem(header []byte) uint16 {
	if len(header) < sizePEHeader {
		return unknownSubsystem
	}
	switch binary.LittleEndian.Uint16(header[offsetOptional:]) {
	case magicPE32, magicPE32Plus:
		return binary.LittleEndian.Uint16(header[offsetSubsystem:])
	}
	return unknownSubsystem
}

// stub is the EFI stub of a kernel: whether it has one, and for which CPU.
func stub(head []byte, more io.ReaderAt) (cpu CPU, ok bool) {
	info, ok := peFormat(head, more)
	return info.CPU, ok && info.EFI && info.CPU.known()
}
