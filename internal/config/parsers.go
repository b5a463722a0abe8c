package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"netbootd/bootmenu"
	"netbootd/tftp"
)

// The functions of this file turn one string into a value. Their errors follow
// the name of the key; they begin with the string in quotes, or with "is".

// errEmpty is for strings that must say something.
var errEmpty = errors.New("is empty, leave the key out instead")

// isControl reports whether r would break a line of text, or hide in it.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// parsePlain takes any text of one line.
func parsePlain(s string) (string, error) {
	if s == "" {
		return "", errEmpty
	}
	if i := strings.IndexFunc(s, isControl); i >= 0 {
		return "", fmt.Errorf("%s has the control character %U, want one line of plain text", quote(s), s[i])
	}
	return s, nil
}

// parseHostPath returns a parser of paths on the host, which are relative to dir.
func parseHostPath(dir string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s, err := parsePlain(s); err != nil {
			return s, err
		}
		if filepath.IsAbs(s) {
			return filepath.Clean(s), nil
		}
		return filepath.Join(dir, s), nil
	}
}

// maxSocketPath is what fits sun_path of unix(7), without the NUL at its end.
const maxSocketPath = 107

// parseSocketPath returns a parser of paths of unix sockets.
func parseSocketPath(dir string) func(string) (string, error) {
	hostPath := parseHostPath(dir)
	return func(s string) (string, error) {
		path, err := hostPath(s)
		if err == nil && len(path) > maxSocketPath {
			return "", fmt.Errorf("%s has %d bytes, want at most %d", quote(path), len(path), maxSocketPath)
		}
		return path, err
	}
}

// parseInterface takes what Linux takes as the name of an interface.
func parseInterface(s string) (string, error) {
	const longest = 15 // IFNAMSIZ with its NUL is 16
	if s == "" || len(s) > longest || s == "." || s == ".." || strings.ContainsAny(s, "/: ") || strings.ContainsFunc(s, isControl) {
		return "", fmt.Errorf("%s cannot be the name of an interface, want one such as \"eth1\"", quote(s))
	}
	return s, nil
}

// parsePrefix takes an IPv4 prefix.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		if addr, err := netip.ParseAddr(s); err == nil && addr.Is4() {
			return p, fmt.Errorf("%s has no length, want \"%s/32\" for this address alone, or a network such as \"198.18.0.0/16\"", quote(s), addr)
		}
		return p, fmt.Errorf("%s is not an IPv4 network such as \"198.18.0.0/16\"", quote(s))
	case !p.Addr().Is4():
		return p, fmt.Errorf("%s is not an IPv4 network, and DHCP here is IPv4 only", quote(s))
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits set behind its length, want \"%s\"", quote(s), p.Masked())
	}
	return p, nil
}

// parseNetwork takes a prefix of IPv4 or IPv6.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err == nil && p.Addr().Is6() {
		if p != p.Masked() {
			return p, fmt.Errorf("%s has bits set behind its length, want \"%s\"", quote(s), p.Masked())
		}
		return p, nil
	}
	if p, v4 := parsePrefix(s); v4 == nil {
		return p, nil
	} else if err == nil {
		return p, v4
	}
	return p, fmt.Errorf("%s is not a network such as \"198.18.0.0/24\" or \"2001:db8::/64\"", quote(s))
}

// parseProfileName takes the name of a profile, which may not be there.
func parseProfileName(s string) (string, error) {
	if err := bootmenu.CheckName(s); err != nil {
		return "", fmt.Errorf("is no name: %w", err)
	}
	return s, nil
}

// parseOption takes the name of an option of TFTP.
func parseOption(s string) (string, error) {
	names := tftp.OptionNames()
	if !slices.Contains(names, s) {
		return "", fmt.Errorf("%s is unknown, want %s", quote(s), either(names))
	}
	return s, nil
}

// parseListen takes "host:port" and ":port"; the host must be an address, for a
// name may mean another one tomorrow.
func parseListen(s string) (string, error) {
	if port, ok := strings.CutPrefix(s, ":"); ok {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", fmt.Errorf("%s has no valid port, want 0 to 65535 after the colon", quote(s))
		}
		return s, nil
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return "", fmt.Errorf("%s is not an address to listen on, want an IP address and a port such as \"192.0.2.10:69\", or a port alone such as \":69\"", quote(s))
	}
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()).String(), nil
}

// parseListenOrOff also takes the empty string, for not at all.
func parseListenOrOff(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return parseListen(s)
}

// parsePortRange takes "first-last".
func parsePortRange(s string) (tftp.PortRange, error) {
	first, last, ok := strings.Cut(s, "-")
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	r := tftp.PortRange{First: uint16(from), Last: uint16(to)}
	if !ok || err1 != nil || err2 != nil || from == 0 || r.Count() < tftp.MinPortRange {
		return tftp.PortRange{}, fmt.Errorf("%s is not a range of at least %d ports such as \"30000-30099\"", quote(s), tftp.MinPortRange)
	}
	return r, nil
}

// checkTreeName checks a name in the boot tree.
func checkTreeName(s string) error {
	switch {
	case s == "":
		return errEmpty
	case strings.Contains(s, "://"):
		return fmt.Errorf("%s is a URL, want the name of a file below the images directory", quote(s))
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%s ends with a slash, want %s", quote(s), quote(strings.TrimRight(s, "/")))
	case strings.Contains(s, "//"):
		return fmt.Errorf("%s has two slashes in a row, want one", quote(s))
	}
	return bootmenu.CheckPath(s)
}

// checkCmdline checks a command line. What a template becomes is checked when the
// whole profile is known.
func checkCmdline(s string) error {
	if strings.ContainsFunc(s, isControl) || !strings.Contains(s, "{{") {
		return bootmenu.CheckCmdline(s)
	}
	return nil
}

// parseTextName takes the name of a file that is written for machines.
func parseTextName(s string) (string, error) {
	if strings.HasPrefix(s, bootmenu.ReservedDir+"/") {
		return "", fmt.Errorf("%s is reserved, as all names in %s are: want another one", quote(s), bootmenu.ReservedDir)
	}
	return parseTreeName(s)
}

func parseTemplate(s string) (string, error) {
	if s == "" {
		return "", errEmpty
	}
	return s, nil
}

func parseTreeName(s string) (string, error) { return s, checkTreeName(s) }

// machineIDPattern is a machine identifier, or parts of one and stars.
var machineIDPattern = regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F-]*\*[0-9a-fA-F*-]*)$`)

func parseID(s string) (bootmenu.Pattern, error) {
	if !machineIDPattern.MatchString(s) {
		return bootmenu.Pattern{}, fmt.Errorf("%s is not a machine identifier such as \"4c4c4544-0042-3510-8056-b4c04f4d3132\", nor a part of one with *", quote(s))
	}
	return bootmenu.ParsePattern(s)
}

// serialPattern is the serial number of a Raspberry Pi as its firmware tells it, or
// parts of one and stars.
var serialPattern = regexp.MustCompile(`^([0-9a-fA-F]{8}|[0-9a-fA-F]{0,7}\*[0-9a-fA-F*]{0,7})$`)

func parseSerial(s string) (bootmenu.Pattern, error) {
	if !serialPattern.MatchString(s) {
		return bootmenu.Pattern{}, fmt.Errorf("%s is not the last eight digits of a Raspberry Pi's serial number such as \"9cd5a1b2\", nor a part of them with *", quote(s))
	}
	return bootmenu.ParsePattern(s)
}

func parsePattern(s string) (bootmenu.Pattern, error) {
	if _, err := parsePlain(s); err != nil {
		return bootmenu.Pattern{}, err
	}
	return bootmenu.ParsePattern(s)
}

// parseVendorClass refuses what would have us answer barebox. It takes the first
// reply to its DISCOVER as a lease, whoever sent it, and ours leases nothing.
func parseVendorClass(s string) (bootmenu.Pattern, error) {
	p, err := parsePattern(s)
	if err == nil && p.Matches("barebox") {
		return p, fmt.Errorf("%s matches barebox, which takes any answer for its lease: want a narrower pattern such as \"U-Boot*\"", quote(s))
	}
	return p, err
}

// archAliases are names of other worlds for an arch.
var archAliases = map[string]string{
	"bios": "x86-bios", "pc": "x86-bios", "x86": "x86-bios", "pcbios": "x86-bios",
	"amd64": "x64-uefi", "x86_64": "x64-uefi", "x64": "x64-uefi", "uefi": "x64-uefi", "efi64": "x64-uefi", "uefi64": "x64-uefi",
	"i386": "x86-uefi", "ia32": "x86-uefi", "efi32": "x86-uefi",
	"aarch64": "arm64-uefi", "arm64": "arm64-uefi", "arm": "arm32-uefi", "armhf": "arm32-uefi", "riscv64": "riscv64-uefi",
	"raspberrypi": "rpi", "rpi4": "rpi", "rpi5": "rpi",
}

// parseArch takes a name or a number of the IANA table.
func parseArch(s string) (bootmenu.Arch, error) {
	arch, err := bootmenu.ParseArch(s)
	if err == nil {
		return arch, nil
	}
	if alias, ok := archAliases[strings.ToLower(s)]; ok {
		return arch, fmt.Errorf("%s is unknown, did you mean %q?", quote(s), alias)
	}
	if meant := didYouMean(s, bootmenu.ArchNames()); meant != "" {
		return arch, fmt.Errorf("%s is unknown%s", quote(s), meant)
	}
	return arch, fmt.Errorf("%s is unknown, want a name such as \"x86-bios\", \"x64-uefi\" or \"arm64-uefi\", or a number from 0 to 65534", quote(s))
}
