package boottree

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netbootd/bootmenu"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
)

var (
	ourAddr   = netip.MustParseAddr("198.18.0.2")
	pcAddr    = netip.MustParseAddr("198.18.0.50")
	pcMAC     = bootmenu.MACFromBytes([]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56})
	boardAddr = netip.MustParseAddr("198.18.0.60")
	boardMAC  = bootmenu.MACFromBytes([]byte{0xd0, 0x39, 0x72, 1, 2, 3})
	stranger  = netip.MustParseAddr("198.18.0.99")
)

// writeFile writes a file and the directories above it.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// efi is the beginning of an EFI program for a machine type.
func efi(machine uint16) string {
	b := make([]byte, 128)
	copy(b, "MZ")
	b[0x3c] = 0x40
	copy(b[0x40:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x44:], machine)
	return string(b)
}

// pattern is a MAC pattern that must be good.
func pattern(t *testing.T, s string) bootmenu.Pattern {
	t.Helper()
	p, err := bootmenu.ParseMACPattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A house is a tree with everything that tests ask it for.
type house struct {
	*Tree
	links    *Links
	images   string
	profiles map[string]*bootmenu.Profile
	opened   []string // by whom, and under which name
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{links: &Links{}, images: filepath.Join(dir, "images")}
	for name, text := range map[string]string{
		"images/debian12/linux":             "kernel",
		"images/debian12/initrd.gz":         "initrd",
		"images/shared.txt":                 "shared",
		"images/Boot/BCD":                   "bcd",
		"images/boards/bbb/MLO":             "board's MLO",
		"images/boards/bbb/shared.txt":      "board's own",
		"images/boards/bbb/upper/CASE":      "board's case",
		"images/upper/case":                 "exact",
		"images/netbootd/boot.ipxe":         "an impostor",
		"images/undionly-of-mine.kpxe":      "mine",
		"images/loaders/x86-bios/ipxe/mine": "mine",
		"ipxe/undionly.kpxe":                "real mode code",
		"ipxe/snponly.efi":                  efi(0x8664),
		"images/efi/x64.efi":                efi(0x8664),
		"images/efi/arm64.efi":              efi(0xaa64),
	} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	store, err := images.Open(h.images)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h.profiles = map[string]*bootmenu.Profile{
		"debian": {Name: "debian", Title: "Debian", Match: &bootmenu.Match{MAC: []bootmenu.Pattern{pattern(t, "52:54:00")}}, Boot: bootmenu.Boot{Kernel: "debian12/linux", Initrd: []string{"debian12/initrd.gz"}}},
		"board":  {Name: "board", Title: "Board", Match: &bootmenu.Match{MAC: []bootmenu.Pattern{pattern(t, "d0:39:72")}}, Boot: bootmenu.Boot{BootFile: "MLO", Root: "boards/bbb", TFTP: bootmenu.TFTPLimits{MaxWindowsize: 4}}},
	}
	h.Tree = New(Options{
		Images: store, Links: h.links,
		Neighbour: func(a netip.Addr) (bootmenu.MAC, bool) { return boardMAC, a == boardAddr },
		Opened:    func(mac bootmenu.MAC, name string) { h.opened = append(h.opened, mac.String()+" "+name) },
	})
	set := loaders.Scan([]string{filepath.Join(dir, "ipxe")})
	h.SetPlan(bootmenu.NewCatalog([]*bootmenu.Profile{h.profiles["debian"], h.profiles["board"]}, set.Preferred(), bootmenu.Menu{}), set)
	return h
}

// boots plays the DHCP side: the machine asked, and was told what it gets.
func (h *house) boots(m bootmenu.Machine, addr netip.Addr) bootmenu.Decision {
	d := h.Catalog().Select(m)
	h.links.Decided(m, d)
	h.links.Learn(bootmenu.Machine{MAC: m.MAC, Addr: addr, Arch: bootmenu.ArchUnknown})
	return d
}

// read is the whole file that a client gets for a name.
func (h *house) read(client netip.Addr, name string) (text string, layer Layer, err error) {
	f, err := h.Open(context.Background(), Request{Client: client, Server: ourAddr, Name: name})
	if err != nil {
		return "", "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	return string(b), f.Layer, err
}

func TestOpenLooksThroughTheLayers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.boots(bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS}, pcAddr)
	for _, c := range []struct {
		who   netip.Addr
		name  string
		want  string
		layer Layer
	}{
		{stranger, "debian12/linux", "kernel", LayerImages},
		{stranger, "/debian12//linux", "kernel", LayerImages},
		{stranger, `\Boot\bcd`, "bcd", LayerImages},
		{stranger, "shared.txt", "shared", LayerImages},
		{boardAddr, "MLO", "board's MLO", LayerRoot},
		{boardAddr, "shared.txt", "board's own", LayerRoot},
		{boardAddr, "debian12/linux", "kernel", LayerImages}, // a root hides nothing
		{boardAddr, "upper/case", "exact", LayerImages},      // exact in any layer is before case
		{boardAddr, "UPPER/CASE", "board's case", LayerRoot}, // then case, layer by layer
		{stranger, "undionly.kpxe", "real mode code", LayerLoaders},
		{stranger, "UNDIONLY.KPXE", "real mode code", LayerLoaders},
		{pcAddr, "loaders/x86-bios/ipxe/undionly.kpxe", "real mode code", LayerLoaders},
		{stranger, "loaders/x86-bios/ipxe/mine", "mine", LayerImages},
	} {
		got, layer, err := h.read(c.who, c.name)
		if err != nil || got != c.want || layer != c.layer {
			t.Errorf("%s asks for %q: got %q from %q, %v, want %q from %q", c.who, c.name, got, layer, err, c.want, c.layer)
		}
	}
	for name, want := range map[string]error{
		"nothing":            fs.ErrNotExist,
		"":                   fs.ErrNotExist,
		"/":                  fs.ErrNotExist,
		"debian12":           fs.ErrPermission,
		"../secret":          fs.ErrPermission,
		`..\..\secret`:       fs.ErrPermission,
		"a/../../secret":     fs.ErrPermission,
		"debian12/../linux":  fs.ErrPermission,
		`C:\boot\bcd`:        fs.ErrPermission,
		"linux\n":            fs.ErrPermission,
		"%2e%2e/secret":      fs.ErrNotExist,
		"netbootd/boot.ipxe": fs.ErrNotExist, // for strangers
		"netbootd/other":     fs.ErrNotExist,
	} {
		if _, _, err := h.read(stranger, name); !errors.Is(err, want) {
			t.Errorf("a stranger asks for %q: %v, want %v", name, err, want)
		}
	}
}

func TestOpenTellsWhoseFileItWas(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.boots(bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS}, pcAddr)
	for who, want := range map[netip.Addr]struct {
		profile    string
		windowsize uint16
	}{pcAddr: {"debian", 0}, boardAddr: {"board", 4}, stranger: {"", 0}} {
		f, err := h.Open(t.Context(), Request{Client: who, Server: ourAddr, Name: "shared.txt"})
		if err != nil {
			t.Fatal(err)
		}
		if f.Profile != want.profile || f.TFTP.MaxWindowsize != want.windowsize {
			t.Errorf("%s: profile %q with %+v, want %+v", who, f.Profile, f.TFTP, want)
		}
		_ = f.Close()
	}
}

func TestGeneratedScriptIsForTheMachineThatAsks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.boots(bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI, IPXE: true}, pcAddr)
	got, layer, err := h.read(pcAddr, "/netbootd/boot.ipxe")
	if err != nil || layer != LayerGenerated || !strings.Contains(got, "kernel /debian12/linux initrd=initrd0") {
		t.Errorf("got %q from %q, %v", got, layer, err)
	}
	if want := pcMAC.String() + " " + bootmenu.ScriptName; len(h.opened) != 1 || h.opened[0] != want {
		t.Errorf("opened: %q, want %q", h.opened, want)
	}
}

// A board that was never answered told its lease server what it is.
func TestWhoWasNeverAnsweredIsKnownByWhatWasHeard(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	root := "boards/bbb"
	archs := map[bootmenu.Arch]bootmenu.Overlay{bootmenu.ArchARM64UBoot: {Root: &root}}
	h.SetPlan(bootmenu.NewCatalog([]*bootmenu.Profile{
		{Name: "all", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{Kernel: "debian12/linux"}, Arch: archs},
	}, nil, bootmenu.Menu{}), h.Loaders())
	h.links.Learn(bootmenu.Machine{MAC: pcMAC, Addr: pcAddr, Arch: bootmenu.ArchARM64UBoot})
	if _, layer, err := h.read(pcAddr, "MLO"); err != nil || layer != LayerRoot {
		t.Errorf("got %q, %v, want the file of its arch's root", layer, err)
	}
}

func TestAReloadDoesNotChangeABootThatIsUnderWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.boots(bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS, IPXE: true}, pcAddr)
	h.SetPlan(bootmenu.NewCatalog(nil, nil, bootmenu.Menu{}), &loaders.Set{})
	if got, _, err := h.read(pcAddr, bootmenu.ScriptName); err != nil || !strings.Contains(got, "/debian12/linux") {
		t.Errorf("got %q, %v", got, err)
	}
	if d := h.boots(bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS, IPXE: true}, pcAddr); !d.Silent() {
		t.Errorf("the next boot gets %+v, want silence", d)
	}
}

func TestMenuEntriesSetTheProfile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.SetPlan(bootmenu.NewCatalog([]*bootmenu.Profile{
		{Name: "rescue", Title: "Rescue", Boot: bootmenu.Boot{Kernel: "rescue/linux", Root: "boards/bbb"}},
		{Name: "other", Title: "Other", Boot: bootmenu.Boot{BootFile: "other.efi"}},
	}, h.Loaders().Preferred(), bootmenu.Menu{}), h.Loaders())
	h.boots(bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI, IPXE: true}, pcAddr)
	menu, _, err := h.read(pcAddr, bootmenu.ScriptName)
	if err != nil || !strings.Contains(menu, "item profile-rescue Rescue") {
		t.Fatalf("menu %q, %v", menu, err)
	}
	if got, _, err := h.read(pcAddr, "netbootd/menu/rescue.ipxe"); err != nil || !strings.Contains(got, "kernel /rescue/linux") {
		t.Errorf("entry %q, %v", got, err)
	}
	if got, layer, _ := h.read(pcAddr, "MLO"); got != "board's MLO" || layer != LayerRoot {
		t.Errorf("after the choice MLO is %q from %q, want the profile's root", got, layer)
	}
	if again, _, err := h.read(pcAddr, bootmenu.ScriptName); err != nil || again != menu {
		t.Errorf("the menu again: %q, %v", again, err)
	}
	if got, _, err := h.read(pcAddr, "netbootd/menu/other.ipxe"); err != nil || !strings.Contains(got, "chain /other.efi") {
		t.Errorf("another choice: %q, %v", got, err)
	}
	if _, _, err := h.read(pcAddr, "netbootd/menu/debian.ipxe"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an entry that is not in the menu: %v", err)
	}
}

func TestVerifyFindsWhatAProfileLacks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := os.Symlink("/etc/hostname", filepath.Join(h.images, "outside")); err != nil {
		t.Fatal(err)
	}
	bios, x64, arm64 := bootmenu.ArchX86BIOS, bootmenu.ArchX64UEFI, bootmenu.ArchARM64UEFI
	file := func(s string) *string { return &s }
	archs := func(as ...bootmenu.Arch) *bootmenu.Match { return &bootmenu.Match{Arch: as} }
	for name, c := range map[string]struct {
		profile bootmenu.Profile
		want    []string // the texts
	}{
		"nothing":           {*h.profiles["debian"], nil},
		"a root's file":     {*h.profiles["board"], nil},
		"a missing file":    {bootmenu.Profile{Match: archs(bios), Boot: bootmenu.Boot{Kernel: "debian12/linux", Initrd: []string{"debian12/initrd"}}}, []string{`debian12/initrd is missing, did you mean "debian12/initrd.gz"?`}},
		"a link outside":    {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "outside"}}, []string{"outside is behind a symbolic link that is absolute or leads out of the images directory"}},
		"a directory":       {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "debian12"}}, []string{"debian12 is not a regular file"}},
		"no loader":         {bootmenu.Profile{Match: archs(bios, arm64), Boot: bootmenu.Boot{Kernel: "debian12/linux"}}, []string{"debian12/linux is plain text, and arm64-uefi starts EFI programs only", "no iPXE for arm64-uefi: its machines get no answer unless they run iPXE already"}},
		"the wrong arch":    {bootmenu.Profile{Match: archs(x64), Boot: bootmenu.Boot{BootFile: "efi/arm64.efi"}}, []string{"efi/arm64.efi is an EFI program for arm64-uefi, and the profile gives it to x64-uefi"}},
		"EFI for BIOS":      {bootmenu.Profile{Arch: map[bootmenu.Arch]bootmenu.Overlay{bios: {BootFile: file("efi/x64.efi")}}}, []string{"efi/x64.efi is an EFI program for x64-uefi, and the profile gives it to x86-bios"}},
		"no EFI program":    {bootmenu.Profile{Match: archs(x64), Boot: bootmenu.Boot{BootFile: "shared.txt"}}, []string{"shared.txt is plain text, and x64-uefi starts EFI programs only"}},
		"iPXE takes text":   {bootmenu.Profile{Match: archs(x64), Boot: bootmenu.Boot{BootFile: "efi/x64.efi"}, IPXE: bootmenu.Overlay{BootFile: file("shared.txt")}}, nil},
		"right of each":     {bootmenu.Profile{Arch: map[bootmenu.Arch]bootmenu.Overlay{x64: {BootFile: file("efi/x64.efi")}, arm64: {BootFile: file("efi/arm64.efi")}}}, nil},
		"another place":     {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "x64.efi"}}, []string{`x64.efi is missing, did you mean "efi/x64.efi"?`}},
		"a slip of the pen": {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "debain12/linx"}}, []string{`debain12/linx is missing, did you mean "debian12/linux"?`}},
		"in the root":       {bootmenu.Profile{Boot: bootmenu.Boot{Root: "boards/bbb", BootFile: "ML0"}}, []string{`ML0 is missing, did you mean "MLO"?`}},
		"nothing like it":   {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "pxelinux.0"}}, []string{"pxelinux.0 is missing"}},
		"another case":      {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "BOOT/bcd"}}, nil},
		"no directory":      {bootmenu.Profile{Match: archs(bootmenu.ArchRPi), Boot: bootmenu.Boot{Root: "boards/pi"}}, []string{"root: directory boards/pi is missing"}},
		"its own text":      {bootmenu.Profile{Boot: bootmenu.Boot{BootFile: "boot.ipxe"}, Texts: []bootmenu.Text{{Name: "boot.ipxe"}}}, nil},
		"a loader by name":  {bootmenu.Profile{Match: archs(x64), Boot: bootmenu.Boot{BootFile: "snponly.efi"}}, nil},
	} {
		var got []string
		for _, f := range h.Verify(&c.profile) {
			got = append(got, f.Text)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestBootableNeedsALoaderForOneArch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	kernel := func(as ...bootmenu.Arch) *bootmenu.Profile {
		return &bootmenu.Profile{Match: &bootmenu.Match{Arch: as}, Boot: bootmenu.Boot{Kernel: "k"}}
	}
	if !h.Bootable(kernel(bootmenu.ArchARM64UEFI, bootmenu.ArchX86BIOS)) || h.Bootable(kernel(bootmenu.ArchARM64UEFI)) {
		t.Error("a kernel needs a loader for one of its archs")
	}
	if !h.Bootable(h.profiles["board"]) || !h.Bootable(h.profiles["debian"]) {
		t.Error("a boot file needs no loader, and a profile for any arch any loader")
	}
}
