package bootmenu

import (
	"fmt"
	"strings"
	"time"
)

// PXELINUXConfig is the configuration of PXELINUX for machine m after decision d.
// graphical tells that the module menu.c32 is at hand, which draws menus; without
// it the entries are listed, and chosen by their names.
//
// A name behind :: is one from the root of the tree. The error is a [*TextError].
func PXELINUXConfig(d Decision, m Machine, graphical bool) ([]byte, error) {
	var sb strings.Builder
	switch {
	case d.Boot.Instead == InsteadDisk:
		sb.WriteString("DEFAULT disk\nPROMPT 0\n" + pxelinuxDisk)
	case d.Profile == "":
		writePXELINUXMenu(&sb, d, m, graphical)
	case d.Boot.BootFile != "":
		if err := pxelinuxNames(d.Boot.BootFile); err != nil {
			return nil, err
		}
		writePXELINUXHead(&sb, d)
		fmt.Fprintf(&sb, "PXE ::%s\n", d.Boot.BootFile)
	case d.Boot.Kernel != "":
		if err := pxelinuxNames(append([]string{d.Boot.Kernel}, d.Boot.Initrd...)...); err != nil {
			return nil, err
		}
		writePXELINUXHead(&sb, d)
		fmt.Fprintf(&sb, "LINUX ::%s\n", d.Boot.Kernel)
		if len(d.Boot.Initrd) > 0 {
			fmt.Fprintf(&sb, "INITRD ::%s\n", strings.Join(d.Boot.Initrd, ",::"))
		}
		writeAppend(&sb, d.Boot.Cmdline)
	default:
		return nil, &TextError{"PXELINUX", fmt.Sprintf("cannot start what profile %s boots", d.Profile)}
	}
	return []byte(sb.String()), nil
}

// pxelinuxNames checks names for what PXELINUX would cut them at.
func pxelinuxNames(names ...string) error {
	for _, n := range names {
		if err := checkName("PXELINUX", n, " ,"); err != nil {
			return err
		}
	}
	return nil
}

// writePXELINUXHead begins a text that starts one profile without a question.
func writePXELINUXHead(sb *strings.Builder, d Decision) {
	fmt.Fprintf(sb, "SAY netbootd: %s\nDEFAULT %s\nPROMPT 0\nLABEL %[2]s\n", oneLine(d.Title), itemLabel(d.Profile))
}

// writeAppend gives the rest of a line as the kernel's command line. A lone dash
// would mean none.
func writeAppend(sb *strings.Builder, cmdline string) {
	if words := strings.TrimSpace(cmdline); words != "" && words != "-" {
		fmt.Fprintf(sb, "APPEND %s\n", words)
	}
}

// pxelinuxDisk starts the first disk.
const pxelinuxDisk = "LABEL disk\nMENU LABEL Boot from disk\nLOCALBOOT 0\n"

// maxPXELINUXTimeout is the longest that PXELINUX waits, in tenths of a second.
const maxPXELINUXTimeout = 35996

// writePXELINUXMenu draws the menu. Each entry is a configuration of its own: asking
// for it tells the server which profile was chosen.
func writePXELINUXMenu(sb *strings.Builder, d Decision, m Machine, graphical bool) {
	chosen := "disk"
	if d.Look.Default != "" {
		chosen = itemLabel(d.Look.Default)
	}
	say := func(format string, args ...any) {
		if !graphical {
			fmt.Fprintf(sb, "SAY "+format+"\n", args...)
		}
	}
	if graphical {
		fmt.Fprintf(sb, "UI menu.c32\nMENU TITLE %s\n", labelText(d.Look.Title))
	}
	say("%s", oneLine(d.Look.Title))
	fmt.Fprintf(sb, "DEFAULT %s\nPROMPT 1\n", chosen)
	if d.Look.Timeout > 0 {
		fmt.Fprintf(sb, "TIMEOUT %d\n", min(maxPXELINUXTimeout, max(1, d.Look.Timeout/(time.Second/10))))
	}
	say("%-24s %s", "disk", "Boot from disk")
	sb.WriteString(pxelinuxDisk)
	group, groups := "", 0
	for _, p := range startable(d.Menu, m) {
		if p.Group != group {
			group = p.Group
			say("%s", oneLine(group))
			if groups++; graphical && group != "" {
				fmt.Fprintf(sb, "LABEL group-%d\nMENU LABEL %s\nMENU DISABLE\n", groups, labelText(group))
			}
		}
		say("%-24s %s", itemLabel(p.Name), oneLine(p.Title))
		fmt.Fprintf(sb, "LABEL %s\nMENU LABEL %s\nCONFIG ::%s\n", itemLabel(p.Name), labelText(p.Title), FormatPXELINUX.entryName(p.Name))
	}
}

// oneLine is text from a profile with each run of blanks as one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// labelText is text for menu.c32, which makes the letter behind a ^ a hot key.
func labelText(s string) string { return oneLine(strings.ReplaceAll(s, "^", "")) }
