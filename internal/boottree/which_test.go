package boottree

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
)

func TestWhichTellsWhichLayerWinsAndWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.profiles["debian"].Boot.Root = "boards/bbb"
	h.boots(pc, pcAddr)
	writeFile(t, filepath.Join(h.images, "grub/grub.cfg"), "by hand")
	opened := len(h.opened)
	for name, want := range map[string]struct {
		winner   Layer
		why      string
		resolved string
		has      []Layer
	}{
		"shared.txt":                {LayerRoot, "the first layer that has it", "shared.txt", []Layer{LayerRoot, LayerImages}},
		`\Boot\bcd`:                 {LayerImages, "the first layer that has it", "Boot/bcd", []Layer{LayerImages}},
		"upper/case":                {LayerImages, "the first layer that has it in just this case, root has boards/bbb/upper/CASE", "upper/case", []Layer{LayerRoot, LayerImages}},
		"pxelinux.cfg/default":      {LayerGenerated, "written from the profile, for no layer above has a name of the series that the loader goes through", "pxelinux.cfg/default", []Layer{LayerGenerated}},
		"undionly.kpxe":             {LayerLoaders, "the first layer that has it", "undionly.kpxe", []Layer{LayerLoaders}},
		"b00c1e57/shared.txt":       {LayerRoot, "the first layer that has it; b00c1e57/shared.txt stands for shared.txt", "shared.txt", []Layer{LayerRoot, LayerImages}},
		"netbootd/boot.ipxe":        {LayerGenerated, "the name is reserved, and no layer is asked for it", "netbootd/boot.ipxe", []Layer{LayerGenerated}},
		"netbootd/menu/nobody.ipxe": {"", "netbootd/menu/nobody.ipxe: no such entry in the menu of this machine: file does not exist", "netbootd/menu/nobody.ipxe", nil},
		"nothing":                   {"", "nothing: file does not exist", "nothing", nil},
		"grub/grub.cfg-01-" + ours:  {"", "grub/grub.cfg-01-" + ours + ": file does not exist", "grub/grub.cfg-01-" + ours, nil},
	} {
		found, err := h.Which(t.Context(), pcMAC, Request{Server: ourAddr, Name: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var has []Layer
		for _, p := range found.Places {
			if p.Name != "" {
				has = append(has, p.Layer)
			}
			if p.Layer == LayerGenerated && name == "grub/grub.cfg-01-"+ours && p.Why != "grub/grub.cfg was written by hand: the loader is to read that: file does not exist" {
				t.Errorf("%s: %q", name, p.Why)
			}
		}
		if found.Winner != want.winner || found.Why != want.why || found.Name != want.resolved || found.Profile != "debian" {
			t.Errorf("%s: %+v, want %+v", name, found, want)
		}
		if diff := cmp.Diff(want.has, has); diff != "" {
			t.Errorf("%s: layers that have it (-want +got):\n%s", name, diff)
		}
	}
	if found, err := h.Which(t.Context(), bootmenu.MAC{}, Request{Name: "netbootd/boot.ipxe"}); err != nil || found.Winner != "" || found.Profile != "" {
		t.Errorf("a stranger: %+v, %v", found, err)
	}
	if _, err := h.Which(t.Context(), pcMAC, Request{Name: "../x"}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a name that climbs: %v", err)
	}
	if len(h.opened) != opened {
		t.Errorf("asking which was taken for a fetch: %q", h.opened[opened:])
	}
}
