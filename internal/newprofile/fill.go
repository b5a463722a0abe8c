package newprofile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"netbootd/internal/bootfile"
)

// A filler knows what a template needs.
type filler struct {
	usual    content // without a directory to scan
	scan     func(*content, []Image) error
	needsMAC bool
}

// fillers are those of the templates.
var fillers = map[string]filler{
	"debian-installer": {usual: content{Dir: "debian12", Kernel: "debian12/linux", Initrd: []string{"debian12/initrd.gz"}}, scan: kernels},
	"ubuntu":           {usual: content{Dir: "ubuntu", Kernel: "ubuntu/vmlinuz", Initrd: []string{"ubuntu/initrd"}}, scan: kernels},
	"kernel":           {usual: content{Dir: "linux", Kernel: "linux/vmlinuz", Initrd: []string{"linux/initrd.img"}}, scan: kernels},
	"board":            {usual: content{Dir: "boards/board", BootFile: "u-boot.img"}, scan: board, needsMAC: true},
	"rpi":              {usual: content{Dir: "boards/pi"}, scan: pi},
	"ipxe-script":      {usual: content{BootFile: "boot.ipxe"}, scan: script},
	"grub": {usual: content{Dir: "grub", BootFiles: []archFile{
		{"x86-bios", "grub/i386-pc/core.0"},
		{"x64-uefi", "grub/x86_64-efi/core.efi"},
	}}, scan: grub},
	"esxi":       {usual: content{Dir: "esxi8", BootFile: "mboot.efi"}, scan: esxi},
	"windows-pe": {usual: content{Dir: "winpe"}, scan: windows},
	"memtest":    {usual: content{Dir: "memtest", Kernel: "memtest/memtest86+x64.bin", BootFile: "memtest/memtest86+x64.efi"}, scan: memtest},
}

// cpuArchs are the archs whose machines start a kernel for a CPU, the CPUs in the order
// in which they stand in a profile.
var cpuArchs = []struct {
	cpu   bootfile.CPU
	archs []string
}{
	{"x64", []string{"x86-bios", "x64-uefi"}},
	{"x86", []string{"x86-bios", "x86-uefi"}},
	{"arm64", []string{"arm64-uefi", "arm64-uboot"}},
	{"arm32", []string{"arm32-uefi", "arm32-uboot"}},
	{"riscv64", []string{"riscv64-uefi"}},
	{"loongarch64", []string{"loongarch64-uefi"}},
}

// isBootable tells whether there are archs for a CPU.
func isBootable(cpu bootfile.CPU) bool {
	for _, row := range cpuArchs {
		if row.cpu == cpu {
			return true
		}
	}
	return false
}

// kernels takes the best kernel of each CPU; the first stands at the top of the
// profile, the others under their archs.
func kernels(c *content, found []Image) error {
	c.Kernel, c.Initrd = "", nil
	var taken []string
	for _, row := range cpuArchs {
		kernel, initrd, ok := bestKernel(found, row.cpu)
		if !ok {
			continue
		}
		if c.Kernel == "" {
			c.Kernel, c.Initrd, taken = kernel, initrd, row.archs
			continue
		}
		for _, arch := range row.archs {
			if !slices.Contains(taken, arch) {
				c.Archs = append(c.Archs, archKernel{arch, kernel, initrd})
			}
		}
		taken = append(taken, row.archs...)
	}
	if c.Kernel == "" {
		return fmt.Errorf("%s holds no Linux kernel whose name begins with one of %s", c.Dir, strings.Join(kernelNames, ", "))
	}
	return nil
}

// What kernels and initial RAM disks are called, from the beginning.
var (
	kernelNames = []string{"vmlinuz", "linux", "Image", "bzImage", "zImage", "kernel"}
	initrdNames = []string{"initrd", "initramfs", "uInitrd", "rootfs.cpio"}
)

// begins tells whether a file is called so, without regard to case.
func begins(i Image, names []string) bool {
	base := strings.ToLower(path.Base(i.Name))
	return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(base, strings.ToLower(n)) })
}

// isKernel tells whether a file is a kernel by its name and by its headers.
func isKernel(i Image) bool {
	switch i.Info.Kind {
	case bootfile.BzImage, bootfile.ARM64Image, bootfile.ARMZImage, bootfile.RISCVImage, bootfile.EFIProgram:
		return begins(i, kernelNames)
	}
	return false
}

// bestKernel is a kernel for a CPU: one with an initial RAM disk beside it, and of
// those the last by name, which is the newest.
func bestKernel(found []Image, cpu bootfile.CPU) (kernel string, initrd []string, ok bool) {
	for _, i := range found {
		if !isKernel(i) || i.Info.CPU != cpu {
			continue
		}
		beside := initrdOf(found, i)
		if ok && len(beside) < len(initrd) {
			continue
		}
		kernel, initrd, ok = i.Name, beside, true
	}
	return kernel, initrd, ok
}

// initrdOf is the initial RAM disk in the directory of a kernel: that of its version
// if there are several.
func initrdOf(found []Image, kernel Image) []string {
	_, version, _ := strings.Cut(path.Base(kernel.Name), "-")
	var first string
	for _, i := range found {
		if path.Dir(i.Name) != path.Dir(kernel.Name) || !begins(i, initrdNames) || isKernel(i) {
			continue
		}
		if version != "" && strings.HasSuffix(i.Name, version) {
			return []string{i.Name}
		}
		if first == "" {
			first = i.Name
		}
	}
	if first == "" {
		return nil
	}
	return []string{first}
}

// boardFiles are what boards load first, the likeliest first.
var boardFiles = []string{"MLO", "tiboot3.bin", "u-boot-spl.bin", "u-boot.itb", "u-boot.img", "boot.scr.uimg", "boot.scr", "fitImage", "uImage", "Image", "zImage"}

// board takes the first stage, or what U-Boot starts; names are relative to the root.
func board(c *content, found []Image) error {
	c.BootFile = ""
	inRoot := func(i Image) string { return strings.TrimPrefix(i.Name, c.Dir+"/") }
	for _, name := range boardFiles {
		if slices.ContainsFunc(found, func(i Image) bool { return inRoot(i) == name }) {
			c.BootFile = name
			break
		}
	}
	if c.BootFile == "" {
		return fmt.Errorf("%s holds none of %s", c.Dir, strings.Join(boardFiles, ", "))
	}
	for _, i := range found {
		if inRoot(i) != c.BootFile && i.Info.Kind != bootfile.Unknown && i.Info.Kind != bootfile.Text {
			c.Others = append(c.Others, inRoot(i)+": "+i.Info.String())
		}
	}
	return nil
}

// pi takes the directory that has the firmware of a Raspberry Pi.
func pi(c *content, found []Image) error {
	for _, i := range found {
		if slices.Contains([]string{"start4.elf", "start.elf", "bootcode.bin"}, path.Base(i.Name)) {
			c.Dir = path.Dir(i.Name)
			return nil
		}
	}
	// A Pi 5 has its firmware in an EEPROM, and needs no more than this.
	for _, i := range found {
		if path.Base(i.Name) == "config.txt" {
			c.Dir = path.Dir(i.Name)
			return nil
		}
	}
	return fmt.Errorf("%s holds neither start4.elf nor start.elf nor config.txt of a Raspberry Pi", c.Dir)
}

// script takes the first iPXE script.
func script(c *content, found []Image) error {
	i := slices.IndexFunc(found, func(i Image) bool { return i.Info.Kind == bootfile.IPXEScript })
	if i < 0 {
		return fmt.Errorf("%s holds no file that begins with #!ipxe", c.Dir)
	}
	c.BootFile = found[i].Name
	return nil
}

// grub takes GRUB's images: core.0 for BIOS, EFI programs by their machine type.
func grub(c *content, found []Image) error {
	c.BootFiles = nil
	for _, i := range found {
		base := strings.ToLower(path.Base(i.Name))
		arch := string(i.Info.CPU) + "-uefi"
		switch {
		case base == "core.0":
			arch = "x86-bios"
		case i.Info.Kind != bootfile.EFIProgram || !begins(i, []string{"core", "grub"}) || !isBootable(i.Info.CPU):
			continue
		}
		if !slices.ContainsFunc(c.BootFiles, func(f archFile) bool { return f.Arch == arch }) {
			c.BootFiles = append(c.BootFiles, archFile{arch, i.Name})
		}
	}
	if len(c.BootFiles) == 0 {
		return fmt.Errorf("%s holds neither core.0 nor an EFI program whose name begins with core or grub", c.Dir)
	}
	return nil
}

// esxi takes the directory of mboot.efi for the root.
func esxi(c *content, found []Image) error {
	i := slices.IndexFunc(found, func(i Image) bool { return strings.EqualFold(path.Base(i.Name), "mboot.efi") })
	if i < 0 {
		return fmt.Errorf("%s holds no mboot.efi; copy efi/boot/bootx64.efi of the ISO image to that name", c.Dir)
	}
	c.Dir, c.BootFile = path.Dir(found[i].Name), path.Base(found[i].Name)
	return nil
}

// windows takes the directory of wimboot.
func windows(c *content, found []Image) error {
	i := slices.IndexFunc(found, func(i Image) bool { return strings.EqualFold(path.Base(i.Name), "wimboot") })
	if i < 0 {
		return fmt.Errorf("%s holds no wimboot", c.Dir)
	}
	c.Dir = path.Dir(found[i].Name)
	return nil
}

// memtest takes the files of the package memtest86+.
func memtest(c *content, found []Image) error {
	c.Kernel, c.BootFile = "", ""
	for _, i := range found {
		switch base := path.Base(i.Name); {
		case !strings.HasPrefix(base, "memtest") || i.Info.CPU == "x86" && strings.Contains(base, "ia32"):
		case strings.HasSuffix(base, ".efi"):
			c.BootFile = i.Name
		case strings.HasSuffix(base, ".bin"):
			c.Kernel = i.Name
		}
	}
	if c.Kernel == "" || c.BootFile == "" {
		return fmt.Errorf("%s holds no memtest86+x64.bin and memtest86+x64.efi", c.Dir)
	}
	return nil
}
