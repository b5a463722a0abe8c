package loaders

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"netbootd/bootmenu"
)

// ErrNotPE is a file without the header of an EFI program.
var ErrNotPE = errors.New("not an EFI program (no PE header)")

// Offsets in a PE file (Microsoft PE/COFF specification, sections 2.1 and 3.3).
const (
	offsetPEPointer = 0x3c
	sizeDOSHeader   = 0x40
)

// peMachines are the machine types of PE headers (the same specification,
// section 3.3.1) and the architectures whose firmware starts them.
var peMachines = map[uint16]bootmenu.Arch{
	0x014c: bootmenu.ArchX86UEFI,
	0x8664: bootmenu.ArchX64UEFI,
	0x01c0: bootmenu.ArchARM32UEFI,
	0x01c2: bootmenu.ArchARM32UEFI, // Thumb, which EFI for ARM32 is built as
	0x01c4: bootmenu.ArchARM32UEFI,
	0xaa64: bootmenu.ArchARM64UEFI,
	0x5032: 25, // RISC-V 32
	0x5064: 27, // RISC-V 64
	0x6232: 37, // LoongArch 32
	0x6264: 39, // LoongArch 64
}

// MachineType is the architecture that an EFI program is for, read from its PE
// header. It returns [ErrNotPE] for any other file.
func MachineType(r io.ReaderAt) (bootmenu.Arch, error) {
	dos := make([]byte, sizeDOSHeader)
	if _, err := r.ReadAt(dos, 0); err != nil && !errors.Is(err, io.EOF) {
		return bootmenu.ArchUnknown, err
	}
	if string(dos[:2]) != "MZ" {
		return bootmenu.ArchUnknown, ErrNotPE
	}
	header := make([]byte, 6)
	n, err := r.ReadAt(header, int64(binary.LittleEndian.Uint32(dos[offsetPEPointer:])))
	if err != nil && !errors.Is(err, io.EOF) {
		return bootmenu.ArchUnknown, err
	}
	if n < len(header) || string(header[:4]) != "PE\x00\x00" {
		return bootmenu.ArchUnknown, ErrNotPE
	}
	machine := binary.LittleEndian.Uint16(header[4:])
	if arch, ok := peMachines[machine]; ok {
		return arch, nil
	}
	return bootmenu.ArchUnknown, fmt.Errorf("EFI program for the unknown machine type %#04x", machine)
}
