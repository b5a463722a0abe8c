//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

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
