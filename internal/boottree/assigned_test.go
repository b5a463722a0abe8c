package boottree

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"

	"netbootd/bootmenu"
)

// A machine that never asked by DHCP gets what it is assigned to as well, and each
// file says what its delivery consumes.
func TestAFileSaysWhatItConsumes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	assigned := map[bootmenu.MAC]bootmenu.Assignments{
		boardMAC: {Once: bootmenu.Assignment{ID: 7, Profile: "board"}},
		pcMAC:    {Once: bootmenu.Assignment{ID: 8, Profile: "chain"}},
	}
	h.opts.Assigned = func(mac bootmenu.MAC) bootmenu.Assignments { return assigned[mac] }
	chain := &bootmenu.Profile{Name: "chain", Title: "chain", Boot: bootmenu.Boot{BootFile: "undionly.kpxe"}}
	h.SetPlan(bootmenu.NewCatalog([]*bootmenu.Profile{h.profiles["debian"], h.profiles["board"], chain}, nil, bootmenu.Menu{}), h.Loaders())
	pc := bootmenu.Machine{MAC: pcMAC, Arch: bootmenu.ArchX86BIOS, Addr: pcAddr}
	if d := h.Select(pc); d.Profile != "chain" {
		t.Fatalf("the PC gets %+v", d)
	}
	h.links.Decided(pc, h.Select(pc))
	for _, c := range []struct {
		who  netip.Addr
		name string
		want bootmenu.AssignmentID
	}{
		{boardAddr, "MLO", 7},
		{boardAddr, `\mlo`, 7},
		{boardAddr, "shared.txt", 0},
		{boardAddr, "debian12/linux", 0}, // of another profile
		{boardAddr, bootmenu.DoneName, 7},
		{pcAddr, bootmenu.DoneName, 8},
		{pcAddr, "undionly.kpxe", 0}, // a loader that the host has, whatever the profile calls it
		{stranger, "debian12/linux", 0},
	} {
		f, err := h.Open(t.Context(), Request{Client: c.who, Name: c.name})
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if f.Consumes != c.want {
			t.Errorf("%s of %s consumes %d, want %d", c.name, c.who, f.Consumes, c.want)
		}
	}
	if _, err := h.Open(t.Context(), Request{Client: stranger, Name: bootmenu.DoneName}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stranger is done: %v", err)
	}
	// A boot goes on as it began, whatever is said meanwhile.
	delete(assigned, pcMAC)
	f, err := h.Open(t.Context(), Request{Client: pcAddr, Name: bootmenu.DoneName})
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if f.Consumes != 8 {
		t.Errorf("the boot that began with 8 consumes %d", f.Consumes)
	}
}
