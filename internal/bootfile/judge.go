package bootfile

import (
	"fmt"
	"slices"
	"strings"

	"netbootd/bootmenu"
)

// Role is what a file is named for.
type Role uint8

// The roles that are judged.
const (
	RoleBootFile Role = iota // handed over as it is
	RoleKernel
	RoleInitrd
	RoleDeviceTree
	RoleOther // it must be there, and not be empty
)

// String is the role in words.
func (r Role) String() string {
	switch r {
	case RoleBootFile:
		return "boot file"
	case RoleKernel:
		return "kernel"
	case RoleInitrd:
		return "initrd"
	case RoleDeviceTree:
		return "device tree"
	}
	return "file"
}

// A Use is what becomes of a file on one kind of machine.
type Use struct {
	Role   Role
	Arch   bootmenu.Arch
	IPXE   bool            // iPXE loads it, not the firmware
	Loader bootmenu.Loader // that starts a kernel; empty: iPXE
}

// A Complaint says why a file does not do what it is named for.
type Complaint struct {
	Text    string // what it is and what is needed, to follow the file's name: "is empty"
	Hint    string // what to do about it
	Warning bool   // it may be right all the same
}

// Judge tells what is wrong with a file for a use; nil if it is right, or if there is
// no telling: a kind that is not known is taken wherever many kinds are.
func Judge(i Info, u Use) *Complaint {
	switch {
	case i.Kind == Empty:
		return &Complaint{Text: "is empty", Hint: "copy it again", Warning: u.Role == RoleInitrd}
	case i.Kind == HTML:
		return &Complaint{Text: "is a web page, such as a server sends in place of a file that it does not have", Hint: "look into it, and fetch the file again", Warning: u.Role == RoleInitrd}
	case i.Damage != "":
		return &Complaint{Text: "is " + i.String(), Hint: "copy it again", Warning: u.Role == RoleInitrd}
	case u.Role == RoleInitrd:
		return judgeInitrd(i)
	case u.Role == RoleDeviceTree && i.Kind != DeviceTree:
		return wrong(i, "name a file that dtc wrote (.dtb)", "it is named as a device tree")
	case u.Role == RoleDeviceTree, u.Role == RoleOther:
		return nil
	}
	switch fw := u.Arch.Firmware(); {
	case fw == bootmenu.FirmwareUEFI:
		return judgeForUEFI(i, u)
	case fw == bootmenu.FirmwareBIOS && u.starts():
		return judgeForBIOSLoader(i, u)
	case fw == bootmenu.FirmwareBIOS:
		return judgeForBIOS(i, u)
	case fw == bootmenu.FirmwareUBoot, fw == bootmenu.FirmwareRPi:
		return judgeForBoard(i, u)
	}
	return nil
}

// starts tells whether it is a boot loader that starts the file.
func (u Use) starts() bool {
	return u.IPXE || u.Role == RoleKernel && u.Loader != bootmenu.LoaderNone
}

// cpu is the machine type of an arch; empty if it is not told by its name.
func cpu(a bootmenu.Arch) CPU {
	name, _, ok := strings.Cut(a.String(), "-")
	if !ok {
		return ""
	}
	return CPU(name)
}

// wrong is a complaint about what the file is.
func wrong(i Info, hint, format string, args ...any) *Complaint {
	return &Complaint{Text: "is " + i.String() + ", and " + fmt.Sprintf(format, args...), Hint: hint}
}

// otherArch is the hint where another file is needed for one arch.
func (u Use) otherArch() string {
	key := "boot file"
	if u.Role == RoleKernel {
		key = "kernel"
	}
	return fmt.Sprintf("name a %s for this arch under [arch.%s]", key, u.Arch)
}

// judgeForUEFI judges what UEFI firmware, or a loader on top of it, has to start.
// Either starts EFI programs of the firmware's own machine type and nothing else,
// with what the loader knows besides.
func judgeForUEFI(i Info, u Use) *Complaint {
	fits := i.CPU == cpu(u.Arch)
	grub := u.Role == RoleKernel && (u.Loader == bootmenu.LoaderGRUB || u.Loader == bootmenu.LoaderShim)
	switch {
	case i.EFI && i.Compression == "" && fits:
		return nil
	case i.EFI && !fits && i.Kind == EFIProgram:
		return wrong(i, u.otherArch(), "the profile gives it to %s", u.Arch)
	case u.IPXE && u.Role == RoleBootFile && slices.Contains([]Kind{IPXEScript, Text, Unknown}, i.Kind):
		return nil
	case u.Role == RoleKernel && (u.Loader == "" || u.Loader == bootmenu.LoaderIPXE) && i.Kind == IPXEScript:
		return nil
	case grub && fits && slices.Contains([]Kind{BzImage, ARM64Image, ARMZImage, RISCVImage}, i.Kind):
		return nil
	case u.starts() && i.Compression == "gzip" && i.EFI && fits && u.Arch == bootmenu.ArchARM64UEFI:
		return nil // iPXE and GRUB for ARM64 take it
	case i.Kind == Unknown:
		return &Complaint{Text: fmt.Sprintf("is not an EFI program, and %s starts nothing else", u.Arch), Hint: u.otherArch()}
	case i.CPU != "" && !fits:
		return wrong(i, u.otherArch(), "the profile gives it to %s", u.Arch)
	case i.Kind == BzImage:
		return wrong(i, "take a kernel that was built with CONFIG_EFI_STUB", "%s needs one", u.Arch)
	case i.Compression != "":
		return wrong(i, "unpack it", "%s starts EFI programs only", u.Arch)
	}
	return wrong(i, u.otherArch(), "%s starts EFI programs only", u.Arch)
}

// judgeForBIOS judges what a BIOS is handed: an NBP, which has no header.
func judgeForBIOS(i Info, u Use) *Complaint {
	switch i.Kind {
	case Unknown, Text:
		return nil
	case EFIProgram:
		return wrong(i, u.otherArch(), "the profile gives it to %s", u.Arch)
	case BzImage:
		return wrong(i, "name it as kernel instead of boot_file, and a boot loader is chosen for it", "a BIOS starts network boot programs only")
	}
	c := wrong(i, u.otherArch(), "a BIOS starts network boot programs only")
	if i.Kind == IPXEScript { // an iPXE that does not say so looks like a BIOS
		c.Hint, c.Warning = "name it under [ipxe], and iPXE for this arch as boot_file", true
	}
	return c
}

// judgeForBIOSLoader judges what a loader on a BIOS has to start. It takes kernels,
// NBPs, scripts, multiboot programs and more.
func judgeForBIOSLoader(i Info, u Use) *Complaint {
	switch i.Kind {
	case Unknown, Text, BzImage, IPXEScript, WIM:
		return nil
	case ELF:
		if i.CPU == "x86" || i.CPU == "x64" {
			return nil
		}
	}
	return wrong(i, u.otherArch(), "the boot loaders of %s do not start that", u.Arch)
}

// judgeForBoard judges what U-Boot or a Raspberry Pi is given. They take many
// kinds; what is plainly for another machine they do not.
func judgeForBoard(i Info, u Use) *Complaint {
	own := []CPU{cpu(u.Arch), ""}
	if u.Arch == bootmenu.ArchRPi {
		own = []CPU{"arm32", "arm64", ""}
	}
	switch {
	case i.Kind == WindowsProgram || i.Kind == ISO || i.Kind == WIM || i.Kind == BzImage:
		return wrong(i, u.otherArch(), "%s does not start that", u.Arch)
	case !slices.Contains(own, i.CPU):
		return wrong(i, u.otherArch(), "the profile gives it to %s", u.Arch)
	case u.Role == RoleKernel && (i.Kind == CPIO || i.Kind == DeviceTree):
		return wrong(i, "", "it is named as the kernel")
	}
	return nil
}

// judgeInitrd warns of what is no initrd in all likelihood. It is no more than a
// warning, because loaders hand over anything.
func judgeInitrd(i Info) *Complaint {
	switch i.Kind {
	case EFIProgram, WindowsProgram, BzImage, ARMZImage, ARM64Image, RISCVImage, ELF, IPXEScript, DeviceTree:
		c := wrong(i, "look at the order of kernel and initrd", "it is named as an initrd")
		c.Warning = true
		return c
	}
	return nil
}
