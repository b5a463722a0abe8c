package bootmenu

import (
	"fmt"
	"strings"
	"time"
)

// GRUBConfig is the grub.cfg for machine m after decision d. GRUB's root must be
// this server, as it is for every GRUB that was loaded from it.
//
// Whatever comes from a profile stands in single quotes, between which GRUB's
// shell takes every character as it is. The error is a [*TextError].
func GRUBConfig(d Decision, m Machine) ([]byte, error) {
	var sb strings.Builder
	switch {
	case d.Boot.Instead == InsteadDisk:
		sb.WriteString(grubDisk(m.Arch))
	case d.Profile == "":
		writeGRUBMenu(&sb, d, m)
	case d.Boot.BootFile != "":
		fmt.Fprintf(&sb, "echo %s\n", grubQuote("netbootd: "+d.Title))
		chain := "chainloader"
		if m.Arch == ArchX86BIOS {
			chain = "pxechainloader" // the other one starts boot sectors
		}
		fmt.Fprintf(&sb, "if %s %s; then boot; fi\n", chain, grubPath(d.Boot.BootFile))
		writeGRUBFailed(&sb, d)
	case d.Boot.Kernel != "":
		args, err := grubArgs(d.Boot.Cmdline)
		if err != nil {
			return nil, err
		}
		writeGRUBKernel(&sb, d, args)
	default:
		return nil, &TextError{"GRUB", fmt.Sprintf("cannot start what profile %s boots", d.Profile)}
	}
	return []byte(sb.String()), nil
}

// writeGRUBKernel loads a kernel with what belongs to it, and starts it.
func writeGRUBKernel(sb *strings.Builder, d Decision, args []string) {
	fmt.Fprintf(sb, "echo %s\n", grubQuote("netbootd: "+d.Title))
	fmt.Fprintf(sb, "if linux %s", grubPath(d.Boot.Kernel))
	for _, a := range args {
		sb.WriteString(" " + grubQuote(a))
	}
	sb.WriteString("; then\n")
	loaded := "boot"
	if d.Boot.FDT != "" {
		loaded = fmt.Sprintf("if devicetree %s; then %s; fi", grubPath(d.Boot.FDT), loaded)
	}
	if len(d.Boot.Initrd) > 0 {
		var names []string
		for _, n := range d.Boot.Initrd {
			names = append(names, grubPath(n))
		}
		loaded = fmt.Sprintf("if initrd %s; then %s; fi", strings.Join(names, " "), loaded)
	}
	fmt.Fprintf(sb, "  %s\nfi\n", loaded)
	writeGRUBFailed(sb, d)
}

// writeGRUBFailed ends a text whose files could not be loaded, as the iPXE script
// ends.
func writeGRUBFailed(sb *strings.Builder, d Decision) {
	fmt.Fprintf(sb, "echo %s\nsleep 10\nexit\n", grubQuote("netbootd: the files of profile "+d.Profile+" could not be loaded"))
}

// grubDisk starts the first disk of a BIOS. On UEFI it is up to GRUB to look for a
// loader on the disks, in the directory for removable media before those of vendors:
// it can only end with success, after which EDK2 does not go on to the next boot
// device but shows its own menu. A pattern whose file is not there stands for itself,
// and loading it fails.
func grubDisk(a Arch) string {
	suffix, ok := map[Arch]string{ArchX86UEFI: "ia32", ArchX64UEFI: "x64", ArchARM64UEFI: "aa64"}[a]
	if !ok {
		return `if [ "$grub_platform" = pc ]; then
  set root=hd0
  if chainloader +1; then boot; fi
fi
exit
`
	}
	return fmt.Sprintf(`for loader in (*)/EFI/BOOT/BOOT%s.EFI (*)/EFI/*/shim%s.efi (*)/EFI/*/grub%[2]s.efi; do
  if chainloader "$loader"; then boot; fi
done
exit
`, strings.ToUpper(suffix), suffix)
}

// writeGRUBMenu draws the menu, with a submenu for each group. Each entry is a text
// of its own: asking for it tells the server which profile was chosen.
func writeGRUBMenu(sb *strings.Builder, d Decision, m Machine) {
	const diskID = "disk"
	chosen := diskID
	var entries strings.Builder
	group, groups := "", 0
	endGroup := func() {
		if group != "" {
			entries.WriteString("}\n")
		}
	}
	for _, p := range startable(d.Menu, m) {
		if p.Group != group {
			endGroup()
			if group = p.Group; group != "" {
				groups++
				fmt.Fprintf(&entries, "submenu %s --id group-%d {\n", grubQuote(group), groups)
			}
		}
		fmt.Fprintf(&entries, "menuentry %s --id %s { configfile %s }\n", grubQuote(p.Title), itemLabel(p.Name), grubPath(FormatGRUB.entryName(p.Name)))
		if p.Name == d.Look.Default {
			chosen = itemLabel(p.Name)
			if group != "" {
				chosen = fmt.Sprintf("group-%d>%s", groups, chosen)
			}
		}
	}
	endGroup()
	fmt.Fprintf(sb, "echo %s\n", grubQuote(d.Look.Title))
	if d.Look.Timeout > 0 {
		fmt.Fprintf(sb, "set timeout=%d\n", (d.Look.Timeout+time.Second-1)/time.Second)
	}
	fmt.Fprintf(sb, "set default=%s\n", grubQuote(chosen))
	fmt.Fprintf(sb, "menuentry 'Boot from disk' --id %s {\n%s}\n%s", diskID, grubDisk(m.Arch), entries.String())
}

// startable are the entries of a menu that a loader other than iPXE can start.
func startable(items []*Profile, m Machine) []*Profile {
	m.IPXE = false
	var found []*Profile
	for _, p := range items {
		if b := p.BootFor(m); b.Kernel != "" || b.BootFile != "" {
			found = append(found, p)
		}
	}
	return found
}

// grubQuote is s as one word of GRUB's shell, taken as it is.
func grubQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// grubPath is a name in the boot tree as one word.
func grubPath(name string) string { return grubQuote("/" + name) }

// grubArgs are the words that make GRUB pass a command line on as it is meant. GRUB
// puts words that hold a space into double quotes, as the kernel wants them, and a
// backslash before each quote and backslash, which the kernel takes for a part of
// the word (grub-core/lib/cmdline.c): so double quotes of ours go, and the other two
// cannot be passed.
func grubArgs(cmdline string) ([]string, error) {
	if i := strings.IndexAny(cmdline, `'\`); i >= 0 {
		return nil, &TextError{"GRUB", fmt.Sprintf("would put a backslash before the %c in the command line", cmdline[i])}
	}
	words, ok := kernelWords(cmdline)
	if !ok {
		return nil, &TextError{"GRUB", "cannot pass on a double quote in the midst of a word, or one without its other half"}
	}
	return words, nil
}

// kernelWords splits a command line as the kernel does (lib/cmdline.c, next_arg):
// at spaces that are not between double quotes. The quotes around a whole word, or
// around all that follows its first =, are taken away. ok is false if there are
// others.
func kernelWords(cmdline string) (words []string, ok bool) {
	quoted := false
	for _, w := range strings.FieldsFunc(cmdline, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		plain := w
		name, value, hasValue := strings.Cut(w, "=")
		switch {
		case len(w) >= 2 && strings.HasPrefix(w, `"`) && strings.HasSuffix(w, `"`):
			plain = w[1 : len(w)-1]
		case hasValue && len(value) >= 2 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`):
			plain = name + "=" + value[1:len(value)-1]
		}
		if strings.Contains(plain, `"`) {
			return nil, false
		}
		if plain != "" {
			words = append(words, plain)
		}
	}
	return words, !quoted
}
