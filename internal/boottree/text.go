package boottree

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"netbootd/bootmenu"
)

// generated is a text in memory.
type generated struct{ *bytes.Reader }

// Version is nil: the text was written for one machine.
func (generated) Version() any { return nil }

// Close does nothing.
func (generated) Close() error { return nil }

func newText(l Layer, name string, text []byte) *File {
	return &File{content: generated{bytes.NewReader(text)}, Name: name, Layer: l}
}

// errUnwritten is a text that the machine should get and that cannot be written: no
// layer below has it. For the machine it is not there.
var errUnwritten = fmt.Errorf("the text cannot be written: %w", fs.ErrNotExist)

func unwritten(name string, err error) error {
	return fmt.Errorf("%s: %w: %w", name, errUnwritten, err)
}

// errTurnedOff is a text that is not written because somebody wrote one by hand.
var errTurnedOff = fmt.Errorf("the loader is to read that: %w", fs.ErrNotExist)

// openText writes a file that the profile has written for its machines.
func (t *Tree) openText(_ context.Context, v visitor, name string, fold bool) (*File, error) {
	if fold {
		i := slices.IndexFunc(v.decision.Texts, func(text bootmenu.Text) bool { return strings.EqualFold(text.Name, name) })
		if i < 0 {
			return nil, notFound(name)
		}
		name = v.decision.Texts[i].Name
	}
	text, ok, err := v.decision.Write(name, v.machine, v.server)
	switch {
	case !ok:
		return nil, notFound(name)
	case err != nil:
		return nil, unwritten(name, err)
	}
	return newText(LayerFile, name, text), nil
}

// openGenerated writes the text that a loader looks for, unless somebody wrote it by
// hand under any name of the series that the loader goes through. A loader that looks
// in a directory of its own, such as beside its boot file, gets what stands in the
// usual one.
func (t *Tree) openGenerated(ctx context.Context, v visitor, name string, fold bool) (*File, error) {
	p, ok := bootmenu.ProbeFor(name, v.machine)
	d := atMenu(v.decision)
	if !ok || fold || !v.known || !d.HasText() {
		return nil, notFound(name)
	}
	above := t.namesIn(v, p.Dir)
	if i := slices.IndexFunc(above, p.Has); i >= 0 {
		return nil, fmt.Errorf("%s was written by hand: %w", path.Join(p.Dir, above[i]), errTurnedOff)
	}
	if p.Dir != p.Home {
		return t.find(ctx, v, path.Join(p.Home, p.Base))
	}
	text, err := t.write(p.Format, v, d)
	if err != nil {
		return nil, unwritten(name, err)
	}
	return newText(LayerGenerated, name, text), nil
}

// isReserved tells whether a name is one that only the program itself writes.
func isReserved(name string) bool { return strings.HasPrefix(name, bootmenu.ReservedDir+"/") }

// openReserved opens the iPXE script, what starts one entry of the menu, or what a
// machine reads that says it is done. Asking for an entry chooses it.
func (t *Tree) openReserved(v visitor, name string) (*File, error) {
	if name == bootmenu.DoneName && v.known {
		return newText(LayerGenerated, name, bootmenu.DoneText(v.decision)), nil
	}
	text, d, err := t.reserved(v, name)
	if err != nil {
		return nil, err
	}
	if name != bootmenu.ScriptName {
		t.opts.Links.Decided(v.machine, d) // its files come from this profile now
	}
	return newText(LayerGenerated, name, text), nil
}

// reserved writes what stands under a reserved name, and tells which decision it is
// about.
func (t *Tree) reserved(v visitor, name string) (text []byte, d bootmenu.Decision, err error) {
	entry, format, isEntry := bootmenu.MenuEntry(name)
	switch {
	case !v.known || v.decision.Silent() && !atMenu(v.decision).HasText():
		return nil, d, fmt.Errorf("%s: no profile is for this machine: %w", name, fs.ErrNotExist)
	case isEntry:
		m, ok := v.machine, false
		m.IPXE = format == bootmenu.FormatIPXE
		if d, ok = v.decision.Choose(entry, m); !ok {
			return nil, d, fmt.Errorf("%s: no such entry in the menu of this machine: %w", name, fs.ErrNotExist)
		}
	case name == bootmenu.ScriptName:
		d, format = atMenu(v.decision), bootmenu.FormatIPXE
	default:
		return nil, d, notFound(name)
	}
	if text, err = t.write(format, v, d); err != nil {
		return nil, d, unwritten(name, err)
	}
	return text, d, nil
}

// atMenu is d before something was chosen in its menu.
func atMenu(d bootmenu.Decision) bootmenu.Decision {
	if len(d.Menu) > 0 {
		d.Profile, d.Boot = "", bootmenu.Boot{}
	}
	return d
}

// write writes a text for v in the state of d.
func (t *Tree) write(f bootmenu.Format, v visitor, d bootmenu.Decision) ([]byte, error) {
	d, err := d.For(v.machine, v.server)
	if err != nil {
		return nil, err
	}
	switch f {
	case bootmenu.FormatGRUB:
		return bootmenu.GRUBConfig(d, v.machine)
	case bootmenu.FormatPXELINUX:
		_, graphical := t.Loaders().Find(menuModule, bootmenu.ArchX86BIOS, false)
		return bootmenu.PXELINUXConfig(d, v.machine, graphical)
	case bootmenu.FormatExtlinux:
		return bootmenu.ExtlinuxConfig(d)
	case bootmenu.FormatUBootScript:
		return bootmenu.UBootScript(d, v.machine)
	case bootmenu.FormatRPiConfig:
		return bootmenu.RPiConfig(d)
	case bootmenu.FormatRPiCmdline:
		return bootmenu.RPiCmdline(d)
	}
	return bootmenu.IPXEScript(d, v.machine), nil
}

// menuModule draws PXELINUX's menu.
const menuModule = "menu.c32"
