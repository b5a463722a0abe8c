package bootmenu

import (
	"fmt"
	"strings"
)

// ExtlinuxConfig is the configuration that U-Boot's "pxe boot" reads, under the
// names of PXELINUX or as extlinux.conf, after decision d. The error is a
// [*TextError].
func ExtlinuxConfig(d Decision) ([]byte, error) {
	if err := ubootCanStart(d); err != nil {
		return nil, err
	}
	var sb strings.Builder
	label := itemLabel(d.Profile)
	fmt.Fprintf(&sb, "DEFAULT %s\nPROMPT 0\nLABEL %[1]s\nMENU LABEL %s\n", label, oneLine(d.Title))
	fmt.Fprintf(&sb, "LINUX /%s\n", d.Boot.Kernel)
	for _, n := range d.Boot.Initrd {
		fmt.Fprintf(&sb, "INITRD /%s\n", n)
	}
	if d.Boot.FDT != "" {
		fmt.Fprintf(&sb, "FDT /%s\n", d.Boot.FDT)
	}
	writeAppend(&sb, ubootMacros(d.Boot.Cmdline))
	return []byte(sb.String()), nil
}

// ubootCanStart returns the reason why U-Boot cannot start what d boots.
func ubootCanStart(d Decision) error {
	switch b := d.Boot; {
	case d.Profile == "":
		return &TextError{"U-Boot", "draws no menu of ours"}
	case b.Kernel == "":
		return &TextError{"U-Boot", fmt.Sprintf("is told of a kernel only, and profile %s has none", d.Profile)}
	case len(b.Initrd) > 1:
		return &TextError{"U-Boot", fmt.Sprintf("takes one initrd, and profile %s has %d: join them into one file", d.Profile, len(b.Initrd))}
	}
	for _, n := range d.Boot.Files() {
		// A colon ends the name of a server, # that of a FIT image.
		if err := checkName("U-Boot", n, ":#"); err != nil {
			return err
		}
	}
	return nil
}

// ubootMacros is a command line such that U-Boot makes of it what it was, when it
// puts variables into the line behind APPEND: it drops single quotes, and the
// backslash before any character. Behind a backslash that stays, it takes every
// character as it is (common/cli_simple.c, cli_simple_process_macros).
func ubootMacros(cmdline string) string {
	var sb strings.Builder
	previous := rune(0)
	for _, r := range cmdline {
		if strings.ContainsRune(`$'\`, r) && previous != '\\' {
			sb.WriteByte('\\')
		}
		sb.WriteRune(r)
		previous = r
	}
	return sb.String()
}
