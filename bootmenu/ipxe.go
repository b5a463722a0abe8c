package bootmenu

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// IPXEScript is the script that iPXE reads next on machine m after decision d:
// one profile's files, or the menu.
//
// Names in it begin with a slash, so that iPXE resolves them against the server
// the script came from and not against the script's own directory, nor against
// ${next-server}, which is the site's DHCP server. It uses no command younger
// than the iPXE of January 2019 that Debian 12 ships.
func IPXEScript(d Decision, m Machine) []byte {
	var sb strings.Builder
	sb.WriteString("#!ipxe\n")
	switch {
	case d.Boot.Instead == InsteadDisk:
		sb.WriteString(bootFromDisk)
	case d.Profile == "":
		writeMenu(&sb, d)
	case d.Boot.BootFile != "":
		writeChain(&sb, d)
	case d.Boot.Windows != "":
		writeWindows(&sb, d)
	default:
		writeKernel(&sb, d, m)
	}
	return []byte(sb.String())
}

// writeKernel loads a kernel with its initrds and starts it.
//
// The EFI stub of a kernel finds its initrds only by initrd=NAME on its command
// line when iPXE is older than 2021, and a newer one takes the same words
// without harm. A BIOS kernel has no use for them. The names are fixed ones, so
// two initrds of the same base name do not collide.
func writeKernel(sb *strings.Builder, d Decision, m Machine) {
	var args []string
	if m.Arch.Firmware() == FirmwareUEFI {
		for i := range d.Boot.Initrd {
			args = append(args, fmt.Sprintf("initrd=initrd%d", i))
		}
	}
	if d.Boot.Cmdline != "" {
		args = append(args, d.Boot.Cmdline)
	}
	fmt.Fprintf(sb, "echo netbootd: %s\nimgfree\n", echoText(d.Title))
	fmt.Fprintf(sb, "kernel %s || goto failed\n", strings.Join(append([]string{uriPath(d.Boot.Kernel)}, args...), " "))
	for i, name := range d.Boot.Initrd {
		fmt.Fprintf(sb, "initrd --name initrd%d %s || goto failed\n", i, uriPath(name))
	}
	sb.WriteString("boot || goto failed\n")
	writeFailed(sb, d)
}

// writeChain hands over to another boot file.
func writeChain(sb *strings.Builder, d Decision) {
	fmt.Fprintf(sb, "echo netbootd: %s\n", echoText(d.Title))
	fmt.Fprintf(sb, "chain %s || goto failed\n", uriPath(d.Boot.BootFile))
	writeFailed(sb, d)
}

// wimboot is the loader of Windows PE images, in the directory of the medium.
const wimboot = "wimboot"

// windowsFiles are the files of a Windows PE medium, and the names under which
// wimboot looks for them.
var windowsFiles = []struct{ path, name string }{
	{"boot/bcd", "BCD"},
	{"boot/boot.sdi", "boot.sdi"},
	{"sources/boot.wim", "boot.wim"},
}

// writeWindows starts Windows PE. On BIOS wimboot is a kernel that knows its files
// by the first word of their arguments, on UEFI an EFI program that knows them by
// their names in iPXE: each gets both.
func writeWindows(sb *strings.Builder, d Decision) {
	fmt.Fprintf(sb, "echo netbootd: %s\nimgfree\n", echoText(d.Title))
	fmt.Fprintf(sb, "kernel %s || goto failed\n", uriPath(path.Join(d.Boot.Windows, wimboot)))
	for _, f := range windowsFiles {
		fmt.Fprintf(sb, "initrd --name %s %s %[1]s || goto failed\n", f.name, uriPath(path.Join(d.Boot.Windows, f.path)))
	}
	sb.WriteString("boot || goto failed\n")
	writeFailed(sb, d)
}

// writeFailed ends a script whose files could not be loaded. The message stays
// for ten seconds; then the firmware goes on with its next boot device.
func writeFailed(sb *strings.Builder, d Decision) {
	fmt.Fprintf(sb, ":failed\necho netbootd: the files of profile %s could not be loaded\nsleep 10\nexit 1\n", d.Profile)
}

// writeMenu draws the menu. Unless somebody named another default it is the disk,
// so that a machine that nobody watches is never installed over. Each entry is a
// script of its own: asking for it tells the server which profile was chosen.
func writeMenu(sb *strings.Builder, d Decision) {
	fmt.Fprintf(sb, "menu %s || goto disk\n", echoText(d.Look.Title))
	sb.WriteString("item disk Boot from disk\n")
	group := ""
	for _, p := range d.Menu {
		if p.Group != group {
			group = p.Group
			fmt.Fprintf(sb, "item --gap -- %s\n", echoText(group))
		}
		fmt.Fprintf(sb, "item %s %s\n", itemLabel(p.Name), echoText(p.Title))
	}
	timeout, chosen := "", "disk"
	if d.Look.Timeout > 0 {
		timeout = fmt.Sprintf("--timeout %d ", d.Look.Timeout.Milliseconds())
	}
	if d.Look.Default != "" {
		chosen = itemLabel(d.Look.Default)
	}
	fmt.Fprintf(sb, "choose %s--default %s chosen || goto disk\n", timeout, chosen)
	sb.WriteString("goto ${chosen}\n")
	for _, p := range d.Menu {
		fmt.Fprintf(sb, ":%s\nchain /%s || goto disk\n", itemLabel(p.Name), FormatIPXE.entryName(p.Name))
	}
	sb.WriteString(":disk\n" + bootFromDisk)
}

// bootFromDisk starts the first disk of a BIOS, and leaves UEFI and whatever has
// no disk to the firmware's next boot device.
const bootFromDisk = "iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||\nexit 1\n"

// itemLabel keeps a profile that is called "disk" apart from the entry.
func itemLabel(profile string) string { return "profile-" + profile }

// uriPath is the name as the path of a URI from the root of the tree.
func uriPath(name string) string { return (&url.URL{Path: "/" + name}).EscapedPath() }

// echoText makes text from a profile safe as words of an iPXE command: iPXE
// would expand ${...}, and end the command at ||, && and ;.
func echoText(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("$", "", "|", "", "&", "and", ";", ",", "#", "").Replace(s)
}
