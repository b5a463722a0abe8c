package loaders

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"netbootd/bootmenu"
)

// A grubPlatform is how GRUB is made for one arch, from the modules in a directory
// of the platform's name.
type grubPlatform struct {
	arch    bootmenu.Arch
	format  string // as grub-mkimage names it
	name    string // of the image
	modules []string
}

// grubModules are those that every image has: the network, kernels packed with gzip,
// and what the texts that bootmenu writes use.
var grubModules = []string{"tftp", "net", "normal", "configfile", "linux", "gzio", "chain", "boot", "echo", "sleep", "test", "true", "minicmd", "ls", "cat", "reboot", "halt", "regexp"}

// The modules of EFI, which find the loader of a disk.
var efiModules = []string{"efinet", "part_gpt", "part_msdos", "fat"}

// pcModules are those of PCs with EFI, whose kernels are told which screen there is.
var pcModules = append([]string{"all_video"}, efiModules...)

// grubPlatforms are the platforms by their directory's name.
var grubPlatforms = map[string]grubPlatform{
	"i386-pc":    {bootmenu.ArchX86BIOS, "i386-pc-pxe", "grub.0", []string{"pxe", "pxechain", "biosdisk", "part_msdos"}},
	"i386-efi":   {bootmenu.ArchX86UEFI, "i386-efi", "grub.efi", pcModules},
	"x86_64-efi": {bootmenu.ArchX64UEFI, "x86_64-efi", "grub.efi", pcModules},
	"arm64-efi":  {bootmenu.ArchARM64UEFI, "arm64-efi", "grub.efi", append([]string{"fdt"}, efiModules...)},
}

// grubTools are the names under which distributions have grub-mkimage.
var grubTools = []string{"grub-mkimage", "grub2-mkimage"}

// grubTool is the path of grub-mkimage.
func grubTool() (string, error) {
	for _, name := range grubTools {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("there is no grub-mkimage to make a boot loader of it: install the Debian package grub-common")
}

// addGRUB notes that GRUB can be made from a directory of modules.
func (s *Set) addGRUB(dir string, p grubPlatform) {
	if _, err := os.Stat(filepath.Join(dir, "kernel.img")); err != nil {
		s.Skipped = append(s.Skipped, Skip{dir, "has no kernel.img, so it is no complete GRUB"})
		return
	}
	if _, err := grubTool(); err != nil {
		s.Skipped = append(s.Skipped, Skip{dir, err.Error()})
		return
	}
	s.keep(Loader{Arch: p.arch, Kind: bootmenu.LoaderGRUB, Name: p.name, Path: dir, Made: true})
}

// maxBuild bounds the making of one image.
const maxBuild = 30 * time.Second

// A Builder makes images of GRUB that hold the address of the server they are to
// ask: GRUB up to 2.06 asks the site's DHCP server, whatever a ProxyDHCP service
// says. It keeps them in a directory, each for one arch, address and version of
// GRUB. It is safe for concurrent use.
type Builder struct {
	dir    string
	builds singleflight.Group
}

// NewBuilder makes a builder that keeps its images in dir, which is made with the
// first.
func NewBuilder(dir string) *Builder { return &Builder{dir: dir} }

// Build returns the path of the image for a server's address. If it has to be made
// first, all who ask for it wait for one run of grub-mkimage, each until its own ctx
// ends.
func (b *Builder) Build(ctx context.Context, l Loader, server netip.Addr) (path string, err error) {
	if !server.IsValid() || server.IsUnspecified() {
		return "", errors.New("GRUB cannot be made: the address that it is to ask is unknown")
	}
	image, args, err := b.recipe(l, server)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(image); err == nil {
		return image, nil
	}
	done := b.builds.DoChan(image, func() (any, error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxBuild)
		defer cancel()
		err := makeImage(limited, image, args)
		if err == nil {
			removeOlder(image)
		}
		return nil, err
	})
	select {
	case r := <-done:
		return image, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// recipe is where an image is kept, and what grub-mkimage makes it from. The name
// ends in a digest of all that the bytes depend on.
func (b *Builder) recipe(l Loader, server netip.Addr) (path string, args []string, err error) {
	platform, ok := grubPlatforms[filepath.Base(l.Path)]
	if !ok {
		return "", nil, fmt.Errorf("GRUB cannot be made from %s: no platform is called so", l.Path)
	}
	args = []string{"--format", platform.format, "--directory", l.Path, "--prefix", fmt.Sprintf("(tftp,%s)/grub", server)}
	args = append(args, slices.Concat(grubModules, platform.modules)...)
	kernel, err := os.Stat(filepath.Join(l.Path, "kernel.img"))
	if err != nil {
		return "", nil, fmt.Errorf("GRUB cannot be made: %w", err)
	}
	digest := sha256.Sum256(fmt.Appendf(nil, "%q %d %d", args, kernel.Size(), kernel.ModTime().UnixNano()))
	return filepath.Join(b.dir, fmt.Sprintf("grub-%s-%s-%x%s", l.Arch, server, digest[:8], filepath.Ext(l.Name))), args, nil
}

// removeOlder removes the images for the same arch and address that were made from
// another version of GRUB. A transfer of one goes on to its end, and one that cannot
// be removed only takes room.
func removeOlder(image string) {
	dir, name := filepath.Split(image)
	sameMachines := name[:strings.LastIndexByte(name, '-')+1]
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), sameMachines) && e.Name() != name {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// makeImage runs grub-mkimage. The file appears whole or not at all.
func makeImage(ctx context.Context, path string, args []string) (err error) {
	tool, err := grubTool()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("GRUB cannot be made: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("GRUB cannot be made: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name()) // it is of no use to anybody
		}
	}()
	cmd := exec.CommandContext(ctx, tool, append(args, "--output", f.Name())...)
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("GRUB cannot be made: %s: %w: %s", filepath.Base(tool), err, strings.Join(strings.Fields(said.String()), " "))
	}
	if info, err := os.Stat(f.Name()); err != nil || info.Size() == 0 {
		return fmt.Errorf("GRUB cannot be made: %s wrote nothing", filepath.Base(tool))
	}
	return os.Rename(f.Name(), path)
}
