package bootmenu

import (
	"fmt"
	"strings"
)

// maxRPiLine is how much of a line of config.txt a Raspberry Pi reads, in bytes.
const maxRPiLine = 98

// RPiConfig is the config.txt for a Raspberry Pi after decision d. It names what the
// firmware loads; the command line is in [RPiCmdline]. The error is a [*TextError].
func RPiConfig(d Decision) ([]byte, error) {
	if err := rpiCanStart(d); err != nil {
		return nil, err
	}
	lines := []string{"kernel=" + d.Boot.Kernel}
	if len(d.Boot.Initrd) > 0 {
		lines = append(lines, "initramfs "+strings.Join(d.Boot.Initrd, ",")+" followkernel")
	}
	if d.Boot.FDT != "" {
		lines = append(lines, "device_tree="+d.Boot.FDT)
	}
	for _, l := range lines {
		if len(l) > maxRPiLine {
			return nil, &TextError{"a Raspberry Pi", fmt.Sprintf("reads %d bytes of a line of config.txt, and %q has %d", maxRPiLine, l, len(l))}
		}
	}
	return []byte("# " + oneLine(d.Title) + "\n" + strings.Join(lines, "\n") + "\n"), nil
}

// RPiCmdline is the cmdline.txt for a Raspberry Pi after decision d. The error is a
// [*TextError].
func RPiCmdline(d Decision) ([]byte, error) {
	if err := rpiCanStart(d); err != nil {
		return nil, err
	}
	return []byte(d.Boot.Cmdline + "\n"), nil
}

// rpiCanStart returns the reason why a Raspberry Pi cannot start what d boots.
func rpiCanStart(d Decision) error {
	if d.Boot.Kernel == "" {
		return &TextError{"a Raspberry Pi", "is told of a kernel only, and there is none"}
	}
	for _, n := range d.Boot.Files() {
		if err := checkName("a Raspberry Pi", n, " ,#"); err != nil {
			return err
		}
	}
	return nil
}
