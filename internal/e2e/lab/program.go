//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// FetchModules fetches the Go modules that a package needs. It is for the host:
// [Build] in the lab has no network.
func FetchModules(ctx context.Context, pkg string) error {
	return goTool(ctx, "list", "-deps", pkg)
}

// Build builds a main package into the file output, as a static binary.
func Build(ctx context.Context, pkg, output string) error {
	// Without the revision: git refuses to tell it to root about the checkout
	// of somebody else.
	return goTool(ctx, "build", "-buildvcs=false", "-o", output, pkg)
}

func goTool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return nil
}

// Require says which programs and files (absolute paths) are missing, and how
// to get them.
func Require(names ...string) error {
	var missing []string
	for _, name := range names {
		_, err := os.Stat(name)
		if !filepath.IsAbs(name) {
			_, err = exec.LookPath(name)
		}
		if err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing: %s; internal/e2e/packages.sh installs what the lab needs", strings.Join(missing, ", "))
}

// What [Network.StartSite] and [Network.PowerOn] use.
var needed = []string{
	"ip", "dnsmasq", "qemu-system-x86_64", "/dev/net/tun",
	ovmfCode, ovmfVars, ipxeLkrn, "/usr/lib/ipxe/undionly.kpxe", "/usr/lib/ipxe/snponly.efi",
	"/usr/lib/ipxe/qemu/pxe-virtio.rom", DebianInstaller + "/linux",
}

// RequirePCs is [Require] for all that virtual PCs and the site's servers use.
func RequirePCs() error { return Require(needed...) }
