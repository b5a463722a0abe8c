package bootmenu

import (
	"fmt"
	"strconv"
	"strings"
)

// Arch is a client system architecture as sent in DHCP option 93. Values are
// the IANA processor architecture types (RFC 4578 section 2.1, RFC 5970 section
// 3.3).
type Arch uint16

// The architectures that the program itself names. The whole table is archs.
const (
	ArchX86BIOS    Arch = 0
	ArchX86UEFI    Arch = 6
	ArchX64UEFI    Arch = 7 // the RFC prints 9; see its erratum 4624 and IANA
	archEBC        Arch = 9 // sent by old x64 firmware that read the RFC as printed
	ArchARM32UEFI  Arch = 10
	ArchARM64UEFI  Arch = 11
	ArchARM32UBoot Arch = 21
	ArchARM64UBoot Arch = 22
	ArchRPi        Arch = 41

	// ArchUnknown stands for a client that did not say. It is reserved here;
	// IANA assigns values from 0 upwards and has reached 41.
	ArchUnknown Arch = 0xffff
)

// Firmware is the kind of environment a boot file meets on an architecture.
type Firmware uint8

// The kinds of firmware.
const (
	FirmwareOther Firmware = iota // nothing we could choose a loader for
	FirmwareBIOS                  // PC/AT BIOS: a real-mode NBP
	FirmwareUEFI                  // a PE image, fetched by TFTP
	FirmwareHTTP                  // a PE image, fetched by HTTP; talks as HTTPClient
	FirmwareUBoot                 // a script, FIT or kernel
	FirmwareRPi                   // the Raspberry Pi's own names
)

// archs is the one table of architectures. A value without a row is printed as
// its number and gets no loader.
var archs = [...]archRow{
	ArchX86BIOS:    {"x86-bios", FirmwareBIOS},
	1:              {"pc98", FirmwareOther},
	2:              {"ia64-uefi", FirmwareUEFI},
	3:              {"alpha", FirmwareOther},
	4:              {"arc-x86", FirmwareOther},
	5:              {"intel-lean", FirmwareOther},
	ArchX86UEFI:    {"x86-uefi", FirmwareUEFI},
	ArchX64UEFI:    {"x64-uefi", FirmwareUEFI},
	8:              {"xscale-uefi", FirmwareUEFI},
	ArchARM32UEFI:  {"arm32-uefi", FirmwareUEFI},
	ArchARM64UEFI:  {"arm64-uefi", FirmwareUEFI},
	12:             {"powerpc-of", FirmwareOther},
	13:             {"powerpc-epapr", FirmwareOther},
	14:             {"powerpc-opal", FirmwareOther},
	15:             {"x86-uefi-http", FirmwareHTTP},
	16:             {"x64-uefi-http", FirmwareHTTP},
	17:             {"ebc-uefi-http", FirmwareHTTP},
	18:             {"arm32-uefi-http", FirmwareHTTP},
	19:             {"arm64-uefi-http", FirmwareHTTP},
	20:             {"x86-bios-http", FirmwareHTTP},
	ArchARM32UBoot: {"arm32-uboot", FirmwareUBoot},
	ArchARM64UBoot: {"arm64-uboot", FirmwareUBoot},
	23:             {"arm32-uboot-http", FirmwareHTTP},
	24:             {"arm64-uboot-http", FirmwareHTTP},
	25:             {"riscv32-uefi", FirmwareUEFI},
	26:             {"riscv32-uefi-http", FirmwareHTTP},
	27:             {"riscv64-uefi", FirmwareUEFI},
	28:             {"riscv64-uefi-http", FirmwareHTTP},
	29:             {"riscv128-uefi", FirmwareUEFI},
	30:             {"riscv128-uefi-http", FirmwareHTTP},
	31:             {"s390-basic", FirmwareOther},
	32:             {"s390-extended", FirmwareOther},
	33:             {"mips32-uefi", FirmwareUEFI},
	34:             {"mips64-uefi", FirmwareUEFI},
	35:             {"sunway32-uefi", FirmwareUEFI},
	36:             {"sunway64-uefi", FirmwareUEFI},
	37:             {"loongarch32-uefi", FirmwareUEFI},
	38:             {"loongarch32-uefi-http", FirmwareHTTP},
	39:             {"loongarch64-uefi", FirmwareUEFI},
	40:             {"loongarch64-uefi-http", FirmwareHTTP},
	ArchRPi:        {"rpi", FirmwareRPi},
}

// An archRow is a row of the table; the zero value is that of a value without one.
type archRow struct {
	name     string
	firmware Firmware
}

// row is that of a, if there is one.
func (a Arch) row() (row archRow, ok bool) {
	if int(a) < len(archs) {
		row = archs[a]
	}
	return row, row.name != ""
}

// ArchFromWire is the architecture for a value of option 93. 7 and 9 are the
// same: RFC 4578 as printed had them swapped, and firmware of both readings is
// in the field.
func ArchFromWire(v uint16) Arch {
	if Arch(v) == archEBC {
		return ArchX64UEFI
	}
	return Arch(v)
}

// ParseArch reads a name of the table, in any case, or a number from 0 to 65534.
func ParseArch(s string) (Arch, error) {
	for a, row := range archs {
		if s != "" && strings.EqualFold(row.name, s) {
			return Arch(a), nil
		}
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil && Arch(n) != ArchUnknown {
		return ArchFromWire(uint16(n)), nil
	}
	return ArchUnknown, fmt.Errorf("unknown arch %q, want a name such as x86-bios, x64-uefi or arm64-uefi, or a number", s)
}

// ArchNames are the names of the table, ordered by value.
func ArchNames() []string {
	var names []string
	for a := range Arch(len(archs)) {
		if row, ok := a.row(); ok {
			names = append(names, row.name)
		}
	}
	return names
}

// String is the name of the table, or the number, or "unknown".
func (a Arch) String() string {
	if row, ok := a.row(); ok {
		return row.name
	}
	if a == ArchUnknown {
		return "unknown"
	}
	return strconv.Itoa(int(a))
}

// Label is the value for metrics: a name of the table, "unknown" or "other". A
// client can send 65,536 values, so the number itself is never a label.
func (a Arch) Label() string {
	if _, ok := a.row(); ok || a == ArchUnknown {
		return a.String()
	}
	return "other"
}

// Firmware is the kind of environment that a boot file meets.
func (a Arch) Firmware() Firmware {
	row, _ := a.row()
	return row.firmware
}

// MarshalText writes what String says.
func (a Arch) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what [ParseArch] takes.
func (a *Arch) UnmarshalText(text []byte) error {
	v, err := ParseArch(string(text))
	if err != nil {
		return err
	}
	*a = v
	return nil
}
