package config

import (
	"fmt"
	"regexp"

	"netbootd/bootmenu"
	"netbootd/tftp"
)

// maxPriority is beyond what anybody needs to put profiles in order.
const maxPriority = 1_000_000

// profileSchema is what may stand in a profile. Values go to dr.
func profileSchema(dr *draft) *table {
	top := []key{
		{
			name: "title", value: text(&dr.profile.Title, parsePlain),
			def: "the profile's name", example: `"Debian 12 installer"`,
			doc: "What people are shown: in the menu, on the machine's screen and in the log.",
		},
		{
			name: "priority", value: number(&dr.profile.Priority, -maxPriority, maxPriority), def: "0", example: "10",
			doc: "Decides between profiles that match a machine equally narrowly: the higher one wins.",
		},
		{
			name: "autostart", value: boolean(&dr.profile.Autostart), def: "true", example: "false",
			doc: "Whether the profile is started with the service. A profile that is not started is offered to nobody.",
		},
		{
			name: "once", value: boolean(&dr.profile.Once), def: "false", example: "true", without: "[match]",
			doc: "The profile is given only to machines that are assigned to it for one boot, and is no entry of the menu: for installers, so that no machine is installed over and over.",
		},
		{
			name: "consumed", def: `"delivered"`, example: `"callback"`,
			value: oneOf(&dr.profile.Consumed,
				choice[bootmenu.Consumed]{"delivered", bootmenu.ConsumedDelivered},
				choice[bootmenu.Consumed]{"callback", bootmenu.ConsumedCallback}),
			doc: "What ends an assignment for one boot. delivered is that the kernel or the boot file was delivered to its end. callback is that the machine, or somebody for it, says that it is done.",
		},
		{
			name: "group", value: text(&dr.profile.Group, parsePlain), def: "none", example: `"Installers"`, without: "[match]",
			doc: "Heading that the menu shows above this entry and its neighbours of the same group.",
		},
		{
			name: "order", value: number(&dr.profile.Order, -maxPriority, maxPriority), def: "0", example: "10", without: "[match]",
			doc: "Place in the menu: entries stand by order, the lower the earlier, then by group, then by title.",
		},
		{
			name: "default", value: boolean(&dr.profile.Default), def: "false", example: "true", without: "[match]",
			doc: "The menu boots this entry after its timeout, instead of the disk. One profile may say so; default of [menu] in netbootd.toml stands above it.",
		},
	}
	return &table{
		keys: append(append(top, bootKeys(&dr.top, "nothing")...), loaderKey(&dr.top, "ipxe, but none for U-Boot and the Raspberry Pi")),
		tables: []table{
			matchTable(dr),
			{
				name:  "arch",
				doc:   "What one architecture boots, where it is not what stands at the top. Each key that is present replaces the one at the top. NAME is a name such as x86-bios, x64-uefi, arm64-uefi or arm64-uboot, or a number of the IANA table of processor architecture types.",
				named: dr.archTable, sample: "x64-uefi",
			},
			{
				name: "ipxe",
				doc:  "What a machine boots that runs iPXE already, whatever its architecture. Each key that is present replaces the one at the top and in [arch.NAME].",
				keys: bootKeys(&dr.ipxe, "as at the top"),
			},
			varsTable(dr),
			{
				name: "file",
				doc:  "A file that is written for each machine of the profile, of any name that the machine may ask for. It stands before the files below images, and behind those in root. The table may stand several times.",
				each: dr.textTable,
			},
			profileTFTPTable(&dr.tftp),
		},
	}
}

// templateDoc says what a template may hold.
const templateDoc = "{{ .MAC }}, {{ .IP }}, {{ .ID }}, {{ .Serial }} and {{ .Arch }} become what is known of the machine, {{ .Server }} the address of ours that it asked, {{ .Profile }} the profile's name, {{ .Vars.name }} a key of [vars]."

// varName is what a key of [vars] may be called: a field in a template.
var varName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func varsTable(dr *draft) table {
	read := func(d *document, k *key, n *node) {
		var v string
		text(&v, parsePlain).read(d, k, n)
		if !varName.MatchString(k.name) {
			d.problemf(n.offset, "%s cannot be the name of a variable, want letters, digits and underscores, beginning with a letter", quote(k.name))
			return
		}
		if dr.profile.Vars == nil {
			dr.profile.Vars = map[string]string{}
		}
		dr.profile.Vars[k.name] = v
	}
	return table{
		name: "vars", free: true,
		doc: "Texts of your own for command lines and files of the profile, as {{ .Vars.NAME }}. Each key is a name: letters, digits and underscores.",
		keys: []key{{
			name: "mirror", value: value{want: "a string", read: read}, def: "none", example: `"deb.example.org"`,
			doc: "One text, under a name that you choose.",
		}},
	}
}

// textTable makes the schema of the next table [[file]].
func (dr *draft) textTable(offset int) table {
	t := &textDraft{offset: offset}
	dr.texts = append(dr.texts, t)
	return table{keys: []key{
		{
			name: "name", value: placed(&t.nameAt, text(&t.Name, parseTextName)), def: "none", example: `"preseed.cfg"`,
			doc: "The file's name in the boot tree.",
		},
		{
			name: "template", value: placed(&t.templateAt, text(&t.Template, parseTemplate)), def: "none", example: `"d-i netcfg/get_hostname string pc-{{ .Serial }}\n"`,
			doc: "What stands in it, in the template language of Go. " + templateDoc,
		},
	}}
}

// placed is v for a key whose place later checks want to know.
func placed(at *int, v value) value {
	read := v.read
	v.read = func(d *document, k *key, n *node) {
		*at = n.offset
		read(d, k, n)
	}
	return v
}

// loaderKey chooses the loader of kernels. It has no meaning for a machine that runs
// iPXE already, so it does not stand in [ipxe].
func loaderKey(o *bootmenu.Overlay, absent string) key {
	return key{
		name: "loader", def: absent, example: `"grub"`,
		value: marked(&o.Loader, "?", oneOf(&o.Loader,
			choice[bootmenu.Loader]{"ipxe", bootmenu.LoaderIPXE},
			choice[bootmenu.Loader]{"grub", bootmenu.LoaderGRUB},
			choice[bootmenu.Loader]{"pxelinux", bootmenu.LoaderPXELINUX},
			choice[bootmenu.Loader]{"shim", bootmenu.LoaderShim},
			choice[bootmenu.Loader]{"none", bootmenu.LoaderNone})),
		doc: "Boot loader that starts the kernel. grub is an image of GRUB that is made on this host and asks this server. pxelinux is for BIOS only. shim is the distribution's signed shim with its signed GRUB, which asks the site's DHCP server for its files unless that names this server. " +
			"none hands the kernel itself to UEFI, without a command line. A machine that runs iPXE already gets a script in any case, U-Boot and the Raspberry Pi what they read.",
	}
}

// bootKeys are the keys that say what to boot. They stand at the top, in
// [arch.NAME] and in [ipxe].
func bootKeys(o *bootmenu.Overlay, absent string) []key {
	usualStyle := absent
	if absent == "nothing" {
		usualStyle = "what the machine's kind follows"
	}
	return []key{
		{
			name: "kernel", value: optionalText(&o.Kernel, checkTreeName), def: absent, example: `"debian12/linux"`,
			doc: "Kernel to start, the name of a file in the boot tree. A boot loader for the machine is chosen and told what to do.",
		},
		{
			name: "initrd", value: list(&o.Initrd, parseTreeName), def: absent, example: `["debian12/initrd.gz"]`,
			doc: "Initial RAM disks, loaded with the kernel in this order.",
		},
		{
			name: "fdt", value: optionalText(&o.FDT, checkTreeName), def: absent, example: `"dtbs/board.dtb"`,
			doc: "Device tree that the kernel is given instead of the firmware's own, for boards: by GRUB, U-Boot and the Raspberry Pi. iPXE and PXELINUX have no use for it.",
		},
		{
			name: "cmdline", value: optionalText(&o.Cmdline, checkCmdline), def: absent, example: `"console=ttyS0 ---"`,
			doc: "The kernel's command line. " + templateDoc,
		},
		{
			name: "boot_file", value: optionalText(&o.BootFile, checkTreeName), def: absent, example: `"grub/bootx64.efi"`, without: "kernel",
			doc: "File that is handed to the firmware as it is: no boot loader is chosen, no menu shown.",
		},
		{
			name: "windows", value: optionalText(&o.Windows, checkTreeName), def: absent, example: `"winpe"`, without: "kernel",
			doc: "Directory with an unpacked Windows PE medium (boot/bcd, boot/boot.sdi, sources/boot.wim) and wimboot, which iPXE starts on x86-bios and x64-uefi. Not tested with a real Windows.",
		},
		{
			name: "boot", value: insteadChoice(&o.Instead), def: absent, example: `"disk"`, without: "kernel",
			doc: "What the machine gets instead of a file. disk tells its firmware to boot from disk: PXE firmware by a menu with no other item, iPXE by a script, any other by silence. silence is no answer at all.",
		},
		{
			name: "offer", value: styleChoice(&o.Offer), def: usualStyle, example: `"skip"`,
			doc: "The form of the answer, for firmware that does not follow the usual one. bare is a boot file without option 43, so that the firmware comes to port 4011 (the default for UEFI). " +
				"skip has the firmware take the file at once (the default for BIOS and iPXE). menu has the firmware draw a menu; in profiles without [match] it is the menu of all of them. " +
				"header is siaddr and file alone, without a vendor class (the default for classes that are no PXE clients). rpi is for a Raspberry Pi whose address is not known as one.",
		},
		{
			name: "root", value: optionalText(&o.Root, checkTreeName), def: absent, example: `"boards/bbb"`,
			doc: "Directory below images that is searched first for every name the machine asks for. What is not there is looked up in the shared tree. For a Raspberry Pi it is all that is needed: its boot ROM asks for files by names of its own.",
		},
	}
}

func profileTFTPTable(l *bootmenu.TFTPLimits) table {
	return table{
		name: "tftp",
		doc:  "Bounds for what the profile's machines fetch by TFTP, for firmware that asks for more than it can do. They hold beside those of netbootd.toml.",
		keys: []key{
			{
				name: "max_blksize", def: "as in netbootd.toml", example: "1428",
				value: number(&l.MaxBlksize, uint16(tftp.MinBlksize), uint16(tftp.MaxBlksize)),
				doc:   "The largest block size in bytes that these machines are granted.",
			},
			{
				name: "max_windowsize", def: "as in netbootd.toml", example: "8",
				value: number(&l.MaxWindowsize, 1, uint16(tftp.MaxWindowsize)),
				doc:   "The largest number of blocks that is sent before these machines must acknowledge.",
			},
			refuseOptions(&l.RefuseOptions, "as in netbootd.toml", " Those of netbootd.toml are refused in any case."),
		},
	}
}

// archTable makes the schema of one table [arch.NAME].
func (dr *draft) archTable(name string) (table, error) {
	arch, err := parseArch(name)
	if err != nil {
		return table{}, fmt.Errorf("names no arch: %w", err)
	}
	for _, other := range dr.archs {
		if other.arch == arch {
			return table{}, fmt.Errorf("means the same arch as [arch.%s], keep one of the two", other.name)
		}
	}
	a := &archDraft{name: name, arch: arch}
	dr.archs = append(dr.archs, a)
	return table{keys: append(bootKeys(&a.overlay, "as at the top"), loaderKey(&a.overlay, "as at the top"))}, nil
}

// noEmptyList says what to write instead of an empty list of patterns.
const noEmptyList = "leave the key out to match any"

func matchTable(dr *draft) table {
	m := &dr.match
	patterns := func(dst *[]bootmenu.Pattern, parse func(string) (bootmenu.Pattern, error)) value {
		return filled(list(dst, parse), noEmptyList)
	}
	return table{
		name: "match",
		doc: "Which machines get the profile. The values of one key are alternatives; keys that are present must all match. In texts * stands for anything, and case does not matter. " +
			"Without the table the profile is an entry of the menu that every machine is offered.",
		keys: []key{
			{
				name: "all", value: boolean(&m.All), def: "false", example: "true", without: "every other key",
				doc: "Every PXE client that no other profile matches more narrowly.",
			},
			{
				name: "mac", value: patterns(&m.MAC, bootmenu.ParseMACPattern), def: "any", example: `["52:54:00:*"]`,
				doc: "MAC addresses, or parts of them: a beginning, or pairs of digits with * between them.",
			},
			{
				name: "id", value: patterns(&m.ID, parseID), def: "any", example: `["4c4c4544-0042-3510-8056-b4c04f4d3132"]`,
				doc: "Machine identifiers (option 97), which are the UUIDs that the firmware shows. Parts of them with *.",
			},
			{
				name: "serial", value: patterns(&m.Serial, parseSerial), def: "any", example: `["9cd5a1b2"]`,
				doc: "Serial numbers of Raspberry Pis: their last eight digits, as the directories are called that they look for. Parts of them with *. No other firmware tells its serial number; the id of a PC is its UUID.",
			},
			{
				name: "arch", value: dr.archList(), def: "any", example: `["x86-bios", "x64-uefi"]`,
				doc: "Architectures (option 93), by name or number.",
			},
			{
				name: "vendor_class", value: patterns(&m.VendorClass, parseVendorClass), def: "any", example: `["PXEClient:Arch:00007:*"]`,
				doc: "Vendor classes (option 60). A class that does not begin with PXEClient is answered only if a profile names it here. A pattern that matches barebox is refused, for barebox takes any answer for its lease.",
			},
			{
				name: "user_class", value: patterns(&m.UserClass, parsePattern), def: "any", example: `["iPXE"]`,
				doc: "User classes (option 77).",
			},
			{
				name: "interface", value: patterns(&m.Interface, parsePattern), def: "any", example: `["eth1"]`,
				doc: "Names of this host's network interfaces on which the machine is heard.",
			},
			{
				name: "subnet", value: filled(list(&m.Subnet, parsePrefix), noEmptyList), def: "any", example: `["198.18.7.0/24"]`,
				doc: "IPv4 networks that the machine's address is in.",
			},
		},
	}
}

// insteadChoice is what a machine may get instead of a file.
func insteadChoice(dst *bootmenu.Instead) value {
	return marked(dst, "?", oneOf(dst,
		choice[bootmenu.Instead]{"disk", bootmenu.InsteadDisk},
		choice[bootmenu.Instead]{"silence", bootmenu.InsteadSilence}))
}

// archList is a list of architectures, which may also be numbers.
func archList(dst *[]bootmenu.Arch) value {
	fits := func(n *node) bool { return n.kind == kindText || n.kind == kindInteger }
	return listOf(dst, "names or numbers", fits, parseArch)
}

// archList is that of [match]. It remembers where each value stands, for later
// checks.
func (dr *draft) archList() value {
	v := filled(archList(&dr.match.Arch), noEmptyList)
	read := v.read
	v.read = func(d *document, k *key, n *node) {
		read(d, k, n)
		for _, item := range n.items {
			if arch, err := parseArch(item.text); err == nil {
				dr.listed = append(dr.listed, listedArch{arch, item.offset})
			}
		}
	}
	return v
}
