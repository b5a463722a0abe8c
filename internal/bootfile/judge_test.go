package bootfile

import (
	"testing"

	"netbootd/bootmenu"
)

func TestJudgeSaysWhatAMachineCannotStart(t *testing.T) {
	t.Parallel()
	const (
		bios, ia32, x64    = bootmenu.ArchX86BIOS, bootmenu.ArchX86UEFI, bootmenu.ArchX64UEFI
		arm64, board, pi   = bootmenu.ArchARM64UEFI, bootmenu.ArchARM64UBoot, bootmenu.ArchRPi
		board32, elsewhere = bootmenu.ArchARM32UBoot, bootmenu.ArchUnknown
	)
	efi := func(cpu CPU) Info { return Info{Kind: EFIProgram, CPU: cpu, EFI: true} }
	nbp, script := Info{}, Info{Kind: IPXEScript}
	linux, old := Info{Kind: BzImage, CPU: "x64", EFI: true}, Info{Kind: BzImage, CPU: "x64"}
	image := Info{Kind: ARM64Image, CPU: "arm64", EFI: true}
	packed := Info{Kind: ARM64Image, CPU: "arm64", EFI: true, Compression: "gzip"}
	file := func(a bootmenu.Arch) Use { return Use{Role: RoleBootFile, Arch: a} }
	chain := func(a bootmenu.Arch) Use { return Use{Role: RoleBootFile, Arch: a, IPXE: true} }
	kernel := func(a bootmenu.Arch) Use { return Use{Role: RoleKernel, Arch: a} }
	grub := func(a bootmenu.Arch) Use { return Use{Role: RoleKernel, Arch: a, Loader: bootmenu.LoaderGRUB} }
	initrd := Use{Role: RoleInitrd, Arch: x64}
	for name, c := range map[string]struct {
		info Info
		use  Use
		want string
	}{
		"an EFI program for its machine":     {efi("x64"), file(x64), ""},
		"ia32 on x64":                        {efi("x86"), file(x64), "is an EFI program for x86-uefi, and the profile gives it to x64-uefi"},
		"x64 on ia32":                        {efi("x64"), file(ia32), "is an EFI program for x64-uefi, and the profile gives it to x86-uefi"},
		"an NBP on UEFI":                     {nbp, file(x64), "is not an EFI program, and x64-uefi starts nothing else"},
		"a script on UEFI":                   {script, file(x64), "is an iPXE script, and x64-uefi starts EFI programs only"},
		"a kernel with a stub as boot file":  {linux, file(x64), ""},
		"a script for iPXE":                  {script, chain(x64), ""},
		"a script in place of a kernel":      {script, kernel(x64), ""},
		"a script for GRUB":                  {script, grub(x64), "is an iPXE script, and x64-uefi starts EFI programs only"},
		"something for iPXE":                 {nbp, chain(x64), ""},
		"another machine's program for iPXE": {efi("arm64"), chain(x64), "is an EFI program for arm64-uefi, and the profile gives it to x64-uefi"},
		"a kernel":                           {linux, kernel(x64), ""},
		"a kernel without stub":              {old, kernel(x64), "is a Linux kernel for x64 without an EFI stub, and x64-uefi needs one"},
		"a kernel without stub for GRUB":     {old, grub(x64), ""},
		"a kernel of another machine":        {image, kernel(x64), "is a Linux kernel (Image) for arm64, and the profile gives it to x64-uefi"},
		"no kernel at all":                   {nbp, kernel(x64), "is not an EFI program, and x64-uefi starts nothing else"},
		"ARM64":                              {image, kernel(arm64), ""},
		"ARM64, packed":                      {packed, kernel(arm64), ""},
		"ARM64, packed, for the firmware":    {packed, file(arm64), "is a Linux kernel (Image) for arm64 compressed by gzip, and arm64-uefi starts EFI programs only"},
		"packed by xz":                       {Info{Kind: Compressed, Compression: "xz"}, kernel(arm64), "is a file compressed by xz, and arm64-uefi starts EFI programs only"},
		"an NBP on BIOS":                     {nbp, file(bios), ""},
		"an EFI program on BIOS":             {efi("x64"), file(bios), "is an EFI program for x64-uefi, and the profile gives it to x86-bios"},
		"a kernel on BIOS":                   {linux, file(bios), "is a Linux kernel for x64, and a BIOS starts network boot programs only"},
		"a script on BIOS":                   {script, file(bios), "is an iPXE script, and a BIOS starts network boot programs only"},
		"a module of a loader on BIOS":       {Info{Kind: ELF, CPU: "x86"}, file(bios), "is an ELF program for x86, and a BIOS starts network boot programs only"},
		"a kernel for a loader on BIOS":      {linux, kernel(bios), ""},
		"multiboot for a loader on BIOS":     {Info{Kind: ELF, CPU: "x86"}, kernel(bios), ""},
		"an EFI program for iPXE on BIOS":    {efi("x64"), chain(bios), "is an EFI program for x64-uefi, and the boot loaders of x86-bios do not start that"},
		"an image of its arch":               {Info{Kind: FIT, CPU: "arm64"}, kernel(board), ""},
		"an image of another arch":           {Info{Kind: UImage, CPU: "arm32"}, file(board), "is an image of U-Boot (uImage) for arm32, and the profile gives it to arm64-uboot"},
		"an image whose checksum is wrong":   {Info{Kind: UImage, CPU: "arm32", Damage: "it is damaged"}, file(board32), "is an image of U-Boot (uImage) for arm32, and it is damaged"},
		"zImage":                             {Info{Kind: ARMZImage, CPU: "arm32"}, kernel(board32), ""},
		"a kernel for PCs":                   {linux, kernel(board), "is a Linux kernel for x64, and arm64-uboot does not start that"},
		"first stage of a ROM":               {nbp, file(board32), ""},
		"an initrd as kernel":                {Info{Kind: CPIO}, kernel(board), "is an initial RAM disk (cpio), and it is named as the kernel"},
		"either width on a Pi":               {image, kernel(pi), ""},
		"a PC's program on a Pi":             {efi("x64"), file(pi), "is an EFI program for x64-uefi, and the profile gives it to rpi"},
		"an arch that is not known":          {efi("x64"), file(elsewhere), ""},
		"an empty file":                      {Info{Kind: Empty}, file(elsewhere), "is empty"},
		"a web page":                         {Info{Kind: HTML}, kernel(bios), "is a web page, such as a server sends in place of a file that it does not have"},
		"a packed initrd":                    {Info{Kind: Compressed, Compression: "zstd"}, initrd, ""},
		"an initrd of some kind":             {nbp, initrd, ""},
		"a packed kernel for the firmware":   {packed, Use{Role: RoleKernel, Arch: arm64, Loader: bootmenu.LoaderNone}, "is a Linux kernel (Image) for arm64 compressed by gzip, and arm64-uefi starts EFI programs only"},
		"a device tree":                      {Info{Kind: DeviceTree}, Use{Role: RoleDeviceTree, Arch: board}, ""},
		"something else for a device tree":   {image, Use{Role: RoleDeviceTree, Arch: board}, "is a Linux kernel (Image) for arm64, and it is named as a device tree"},
		"any other file":                     {nbp, Use{Role: RoleOther, Arch: x64}, ""},
		"any other file that is empty":       {Info{Kind: Empty}, Use{Role: RoleOther, Arch: x64}, "is empty"},
		"a kernel as initrd":                 {linux, initrd, "is a Linux kernel for x64, and it is named as an initrd"},
	} {
		got, warning := "", false
		if complaint := Judge(c.info, c.use); complaint != nil {
			got, warning = complaint.Text, complaint.Warning
		}
		if doubtful := c.use.Role == RoleInitrd || c.info == script && c.use == file(bios); got != c.want || warning != (got != "" && doubtful) {
			t.Errorf("%s: got %q (a warning: %v), want %q", name, got, warning, c.want)
		}
	}
}
