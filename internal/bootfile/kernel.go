package bootfile

import (
	"encoding/binary"
	"io"
)

// Linux's header for x86 (Documentation/arch/x86/boot.rst).
const (
	offsetHdrS       = 0x202
	offsetVersion    = 0x206
	offsetXLoadFlags = 0x236
	versionXLoad     = 0x020c // from which xloadflags are there
	xlfKernel64      = 1      // has the 64-bit entry point
)

func linuxX86(head []byte, more io.ReaderAt) (Info, bool) {
	if !hasAt(head, offsetHdrS, "HdrS") {
		return Info{}, false
	}
	info := Info{Kind: BzImage, CPU: "x86"}
	flags := at(head, offsetXLoadFlags, 2)
	if flags != nil && binary.LittleEndian.Uint16(head[offsetVersion:]) >= versionXLoad && binary.LittleEndian.Uint16(flags)&xlfKernel64 != 0 {
		info.CPU = "x64"
	}
	if cpu, ok := stub(head, more); ok {
		info.CPU, info.EFI = cpu, true
	}
	return info, true
}

// linuxARM64 knows the header of Documentation/arch/arm64/booting.rst.
func linuxARM64(head []byte, more io.ReaderAt) (Info, bool) {
	if !hasAt(head, 56, "ARM\x64") {
		return Info{}, false
	}
	_, efi := stub(head, more)
	return Info{Kind: ARM64Image, CPU: "arm64", EFI: efi}, true
}

// linuxARM knows the magic number 0x016f2818 of a zImage, in either byte order
// (arch/arm/boot/compressed/head.S).
func linuxARM(head []byte, more io.ReaderAt) (Info, bool) {
	const offset = 0x24
	if !hasAt(head, offset, "\x18\x28\x6f\x01") && !hasAt(head, offset, "\x01\x6f\x28\x18") {
		return Info{}, false
	}
	_, efi := stub(head, more)
	return Info{Kind: ARMZImage, CPU: "arm32", EFI: efi}, true
}

// linuxRISCV knows the header of Documentation/arch/riscv/boot-image-header.rst,
// where both magics are as good. The width is told by an EFI stub only.
func linuxRISCV(head []byte, more io.ReaderAt) (Info, bool) {
	if !hasAt(head, 0x30, "RISCV\x00\x00\x00") && !hasAt(head, 0x38, "RSC\x05") {
		return Info{}, false
	}
	cpu, efi := stub(head, more)
	return Info{Kind: RISCVImage, CPU: cpu, EFI: efi}, true
}

// elfMachines are values of e_machine (ELF gABI, table of machines); where one is
// for both widths, e_ident tells them apart.
var elfMachines = map[uint16][2]CPU{ // 32 bits, 64 bits
	3:   {"x86", "x86"},
	8:   {"mips32", "mips64"},
	20:  {"powerpc", "powerpc"},
	21:  {"powerpc", "powerpc"},
	22:  {"s390", "s390"},
	40:  {"arm32", "arm32"},
	62:  {"x64", "x64"},
	183: {"arm64", "arm64"},
	243: {"riscv32", "riscv64"},
	258: {"loongarch32", "loongarch64"},
}

func elf(head []byte, _ io.ReaderAt) (Info, bool) {
	const (
		offsetClass, class64   = 4, 2
		offsetData, bigEndian  = 5, 2
		offsetMachine, sizeMin = 18, 20
	)
	if !hasAt(head, 0, "\x7fELF") || len(head) < sizeMin {
		return Info{}, false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[offsetData] == bigEndian {
		order = binary.BigEndian
	}
	machine := order.Uint16(head[offsetMachine:])
	cpus, ok := elfMachines[machine]
	if !ok {
		return Info{Kind: ELF, CPU: unknownMachine(machine)}, true
	}
	if head[offsetClass] == class64 {
		return Info{Kind: ELF, CPU: cpus[1]}, true
	}
	return Info{Kind: ELF, CPU: cpus[0]}, true
}
