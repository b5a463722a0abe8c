package config

import (
	"fmt"
	"strings"

	"netbootd/bootmenu"
)

// What the tests in reference_test.go compare with, and write with -update.

const serviceIntro = `# Every key of /etc/netbootd/netbootd.toml, with its default. A reference, not a
# file to start from: all keys may be left out, and so may the whole file. Take
# single lines from here.
#
# Relative paths are relative to the directory of the file.
`

const profileIntro = `# Every key of a profile, /etc/netbootd/profiles.d/NAME.toml. A reference, not a
# file to start from: the examples beside this directory are shorter. NAME is the
# name of the profile: 1 to 63 of a-z, 0-9, dot, dash and underscore.
#
# Lines that begin with # and no space are switched off, because they exclude
# another key of the same table.
`

// referenceFile prints a file in which every key stands.
func referenceFile(intro string, schema *table) string {
	var sb strings.Builder
	sb.WriteString(intro)
	eachTable(schema, func(name string, tab *table) {
		if tab.named != nil {
			return
		}
		if name != "" {
			fmt.Fprintf(&sb, "\n%s%s\n", comment(tab.doc), header(name, tab))
		}
		for _, k := range tab.keys {
			sb.WriteString("\n" + comment(k.doc))
			writeExample(&sb, k)
		}
	})
	return sb.String()
}

// header is how a table of that name begins in a file.
func header(name string, tab *table) string {
	if tab.each != nil {
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

// writeExample prints a key with its default, or else an example.
func writeExample(sb *strings.Builder, k key) {
	notes := "Default: " + k.def + "."
	if words := k.value.allowed; words != "" {
		words, isChoice := strings.CutPrefix(words, "one of ")
		notes = map[bool]string{true: "One of ", false: "Range: "}[isChoice] + words + ". " + notes
	}
	value, off := k.example, ""
	switch {
	case k.without != "":
		notes += " Excludes " + k.without + "."
		off = "#"
	case isLiteral(k.def):
		value = k.def
		if k.example != k.def {
			notes += " Example: " + k.example + "."
		}
	}
	fmt.Fprintf(sb, "%s%s%s = %s\n", comment(notes), off, k.name, value)
}

// comment is text as lines of comment, at most 80 characters wide.
func comment(text string) string {
	var sb strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 80 {
			sb.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return sb.String() + line + "\n"
}

// referencePage prints docs/configuration.md.
func referencePage() string {
	var sb strings.Builder
	sb.WriteString(pageIntro)
	sb.WriteString("\n## netbootd.toml\n")
	writeTables(&sb, testServiceSchema())
	sb.WriteString("\n## A profile\n" + pageProfileIntro)
	writeTables(&sb, testProfileSchema())
	fmt.Fprintf(&sb, "\n## Names of architectures\n\n%s\n\nThe numbers 7 and 9 are both x64-uefi.\n", code(bootmenu.ArchNames()))
	return sb.String()
}

// writeTables prints all tables of a file. Keys that stood in a table before are
// only named.
func writeTables(sb *strings.Builder, schema *table) {
	known := map[string]string{}
	eachTable(schema, func(name string, tab *table) {
		if tab.named != nil {
			return
		}
		if name == "" {
			sb.WriteString("\n### At the top\n")
		} else {
			if family, ok := strings.CutSuffix(name, "."+tab.sample); ok && tab.sample != "" {
				name = family + ".NAME"
			}
			fmt.Fprintf(sb, "\n### %s\n\n%s\n", header(name, tab), tab.doc)
		}
		var again []string
		for _, k := range tab.keys {
			if known[k.name] == k.doc {
				again = append(again, k.name)
				continue
			}
			known[k.name] = k.doc
			writeKey(sb, k)
		}
		if again != nil {
			fmt.Fprintf(sb, "\nKeys, as at the top: %s.\n", code(again))
		}
	})
}

func writeKey(sb *strings.Builder, k key) {
	def := k.def
	if isLiteral(def) {
		def = "`" + def + "`"
	}
	facts := k.value.want
	if k.value.allowed != "" {
		facts += ", " + k.value.allowed
	}
	if k.without != "" {
		facts += "; excludes " + k.without
	}
	fmt.Fprintf(sb, "\n#### %s\n\n%s\n\n", k.name, strings.ReplaceAll(k.doc, "*", `\*`))
	fmt.Fprintf(sb, "- value: %s\n- default: %s\n- example: `%s = %s`\n", facts, def, k.name, k.example)
}

// code is a list of names in the type of code.
func code(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

const pageIntro = `# Configuration

This page is made from the table that the program reads its files with. Change it
there (` + "`internal/config/*_schema.go`" + `) and run ` + "`go generate ./internal/config`" + `.

| file | what it is |
|---|---|
| ` + "`/etc/netbootd/netbootd.toml`" + ` | settings of the service; it may be missing, and so may every key in it |
| ` + "`/etc/netbootd/profiles.d/NAME.toml`" + ` | one boot profile each; NAME is the profile's name: 1 to 63 of a-z, 0-9, dot, dash and underscore |

The files are [TOML](https://toml.io), in UTF-8. Hidden files and files that do not
end in .toml are passed over. ` + "`examples/reference`" + ` has a file with every key.

Nothing is guessed: an unknown key, a value out of its range or of the wrong kind
is an error, and all errors of a file are told at once, with line and column.
` + "`netbootd check`" + ` tells them without touching a running service.

**Paths.** In netbootd.toml relative paths are relative to the directory of that
file. In a profile kernel, initrd, boot_file and root are names below the images
directory, with forward slashes; a leading slash or ".." is an error.

**Reload.** All files are read anew when one of them changes and has been left alone
for 0.3 seconds, at SIGHUP, and by ` + "`netbootd reload`" + `, which tells what came of it.
The directories may vanish and come back. Where the kernel has no watches left
(fs.inotify.max_user_watches), the log and ` + "`netbootd status`" + ` say so. No machine ever
sees half of a change, and boots that are under way go on as they began.

- A profile with a mistake in it keeps running as it last was; all others are
  renewed. At the first start it is left out.
- A mistake in netbootd.toml leaves everything as it was.
- Removing a profile's file stops the profile.
- Of netbootd.toml only [menu] and loaders take effect at once; everything else does
  so with a restart, and a reload says so.
- Files below the images directory need no reload.
`

const pageProfileIntro = `
A machine gets the profile that matches it most narrowly: by id, serial, a whole MAC
address, more digits of one, a smaller subnet, interface, user_class (of several that
the machine sends the first that matches), vendor_class, arch, compared in this order;
then the higher priority. Of two texts the one with more characters beside * is the
narrower. Two profiles that could match one machine equally narrowly, with the same
priority, are an error: the one whose file was good before stays, else the first by
name. A machine that no profile matches gets the menu of
all profiles without [match], or, if there is none, no answer.

The keys that say what to boot stand at the top of the file, and may be replaced one
by one for an architecture or, but for loader, for iPXE. Of kernel, boot_file,
windows and boot, naming one there takes away the others.

From a kernel is written whatever the machine's loader reads: the iPXE script,
grub.cfg, pxelinux.cfg, extlinux.conf, boot.scr, or config.txt and cmdline.txt. A
file below images of one of the names that such a loader looks for wins over it.
`
