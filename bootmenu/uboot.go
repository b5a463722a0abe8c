package bootmenu

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// UBootScript is the boot.scr for machine m after decision d: a script in the
// legacy image format of U-Boot, with its header and checksums. The error is a
// [*TextError].
func UBootScript(d Decision, m Machine) ([]byte, error) {
	text, err := ubootText(d, m)
	if err != nil {
		return nil, err
	}
	processor := byte(ubootARM64)
	if m.Arch == ArchARM32UBoot {
		processor = ubootARM
	}
	return legacyImage([]byte(text), processor, "netbootd "+d.Profile), nil
}

// ubootText is the script. The initrd is loaded last, because its size is in
// ${filesize} only until the next file. Without a device tree of the profile's the
// kernel gets the one that the board's environment names, else U-Boot's own.
//
// It has no exit: that of U-Boot 2023.01 does not end a script if it stands behind
// ||. Nor can it make "source" fail there.
func ubootText(d Decision, m Machine) (string, error) {
	if err := ubootCanStart(d); err != nil {
		return "", err
	}
	b := d.Boot
	if strings.Contains(b.Cmdline, `\`) {
		return "", &TextError{"a U-Boot script", "cannot pass on a backslash in the command line: versions of U-Boot differ in what they make of it"}
	}
	var sb strings.Builder
	fmt.Fprintf(&sb, "echo %s\n", ubootQuote("netbootd: "+d.Title))
	fmt.Fprintf(&sb, "setenv bootargs %s\n", ubootQuote(b.Cmdline))
	loads := []string{"tftpboot ${kernel_addr_r} " + ubootQuote(b.Kernel)}
	if b.FDT != "" {
		sb.WriteString("setenv netbootd_fdt ${fdt_addr_r}\n")
		loads = append(loads, `test -n "${fdt_addr_r}"`, "tftpboot ${fdt_addr_r} "+ubootQuote(b.FDT))
	} else {
		sb.WriteString("setenv netbootd_fdt ${fdt_addr}\nif test -z \"${netbootd_fdt}\"; then setenv netbootd_fdt ${fdtcontroladdr}; fi\n")
	}
	initrd := "-"
	if len(b.Initrd) > 0 {
		loads = append(loads, "tftpboot ${ramdisk_addr_r} "+ubootQuote(b.Initrd[0]))
		initrd = "${ramdisk_addr_r}:${filesize}"
	}
	var starts []string
	for _, command := range bootCommands(m.Arch) {
		starts = append(starts, fmt.Sprintf("%s ${kernel_addr_r} %s ${netbootd_fdt}", command, initrd))
	}
	fmt.Fprintf(&sb, "if %s; then\n  %s\nfi\n", strings.Join(loads, " && "), strings.Join(starts, " || "))
	fmt.Fprintf(&sb, "echo %s\n", ubootQuote("netbootd: profile "+d.Profile+" could not be started"))
	return sb.String(), nil
}

// bootCommands are those of U-Boot that may start a kernel on that arch. Each is
// there only in builds for machines whose kernels it starts.
func bootCommands(a Arch) []string {
	switch a {
	case ArchARM32UBoot:
		return []string{"bootz"}
	case ArchARM64UBoot:
		return []string{"booti"}
	}
	return []string{"booti", "bootz"}
}

// ubootQuote is s as one word of U-Boot's shell, in single quotes, between which it
// takes every character but a backslash as it is.
func ubootQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Fields of a legacy image's header (U-Boot, include/image.h).
const (
	legacyMagic   = 0x27051956
	legacyHeader  = 64
	legacyName    = 32
	legacyLinux   = 5 // operating system
	legacyScript  = 6 // type
	ubootARM      = 2 // processors
	ubootARM64    = 22
	offsetHCRC    = 4
	offsetSize    = 12
	offsetDCRC    = 24
	offsetKind    = 28 // operating system, processor, type, compression
	offsetImgName = 32
)

// legacyImage wraps a script. Its data begins with the length of each script in it
// and a zero. The time stays zero, so that the same text is always the same file.
func legacyImage(script []byte, processor byte, name string) []byte {
	data := binary.BigEndian.AppendUint32(nil, uint32(len(script)))
	data = append(binary.BigEndian.AppendUint32(data, 0), script...)
	image := make([]byte, legacyHeader, legacyHeader+len(data))
	binary.BigEndian.PutUint32(image, legacyMagic)
	binary.BigEndian.PutUint32(image[offsetSize:], uint32(len(data)))
	binary.BigEndian.PutUint32(image[offsetDCRC:], crc32.ChecksumIEEE(data))
	copy(image[offsetKind:], []byte{legacyLinux, processor, legacyScript, 0})
	copy(image[offsetImgName:offsetImgName+legacyName-1], name) // a NUL ends it
	binary.BigEndian.PutUint32(image[offsetHCRC:], crc32.ChecksumIEEE(image[:legacyHeader]))
	return append(image, data...)
}
