package loaders

import (
	"fmt"

	"netbootd/bootmenu"
)

// packages are the Debian packages that bring a loader.
var packages = map[bootmenu.LoaderFor]string{
	{Arch: bootmenu.ArchX86BIOS, Kind: bootmenu.LoaderIPXE}:     "ipxe",
	{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderIPXE}:     "ipxe",
	{Arch: bootmenu.ArchX86BIOS, Kind: bootmenu.LoaderPXELINUX}: "pxelinux syslinux-common",
	{Arch: bootmenu.ArchX86BIOS, Kind: bootmenu.LoaderGRUB}:     "grub-common grub-pc-bin",
	{Arch: bootmenu.ArchX86UEFI, Kind: bootmenu.LoaderGRUB}:     "grub-common grub-efi-ia32-bin",
	{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderGRUB}:     "grub-common grub-efi-amd64-bin",
	{Arch: bootmenu.ArchARM64UEFI, Kind: bootmenu.LoaderGRUB}:   "grub-common grub-efi-arm64-bin",
	{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderShim}:     "shim-signed grub-efi-amd64-signed",
	{Arch: bootmenu.ArchARM64UEFI, Kind: bootmenu.LoaderShim}:   "shim-signed grub-efi-arm64-signed",
}

// Hint says how to get a loader of a kind for an arch, for people.
func Hint(arch bootmenu.Arch, kind bootmenu.Loader) string {
	if names, ok := packages[bootmenu.LoaderFor{Arch: arch, Kind: kind}]; ok {
		return fmt.Sprintf("apt-get install %s; or put the loader into a directory that loaders names", names)
	}
	switch {
	case arch == bootmenu.ArchRPi:
		return "a Raspberry Pi starts a kernel by itself: put the files of its boot partition into a directory that root names"
	case arch == bootmenu.ArchARM64UEFI && kind == bootmenu.LoaderIPXE:
		return "the Debian package ipxe has a loader for arm64-uefi from Debian 13 on; or put an iPXE for it into a directory that loaders names"
	case kind == bootmenu.LoaderPXELINUX:
		return fmt.Sprintf("PXELINUX is for x86-bios; give %s another loader under [arch.%[1]s]", arch)
	}
	return fmt.Sprintf("no Debian package has %s for %s; put one into a directory that loaders names, or give this arch a boot_file", kind.Title(), arch)
}

// Wanted are the loaders that packages bring and s does not have, in order of arch
// and kind.
func (s *Set) Wanted() []bootmenu.LoaderFor {
	have := s.Preferred()
	var wanted []bootmenu.LoaderFor
	for _, arch := range []bootmenu.Arch{bootmenu.ArchX86BIOS, bootmenu.ArchX86UEFI, bootmenu.ArchX64UEFI, bootmenu.ArchARM64UEFI} {
		for _, kind := range []bootmenu.Loader{bootmenu.LoaderIPXE, bootmenu.LoaderGRUB, bootmenu.LoaderPXELINUX, bootmenu.LoaderShim} {
			f := bootmenu.LoaderFor{Arch: arch, Kind: kind}
			if _, ok := packages[f]; ok && have[f] == "" {
				wanted = append(wanted, f)
			}
		}
	}
	return wanted
}
