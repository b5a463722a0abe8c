package boottree

import (
	"bytes"
	"context"
	"errors"
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
	if !ok || fold || !v.known || slices.ContainsFunc(t.namesIn(v, p.Dir), p.Has) {
		return nil, notFound(name)
	}
	if p.Dir != p.Home {
		return t.find(ctx, v, path.Join(p.Home, p.Base))
	}
	text, err := t.write(p.Format, v, atMenu(v.decision))
	if err != nil {
		return nil, unwritten(name, err)
	}
	return newText(LayerGenerated, name, text), nil
}

// isReserved tells whether a name is one that only the program itself writes.
func isReserved(name string) bool { return strings.HasPrefix(name, bootmenu.ReservedDir+"/") }

// openReserved writes the iPXE script, what starts one entry of the menu, or what a
// machine reads that says it is done.
func (t *Tree) openReserved(v visitor, name string) (*File, error) {
	if name == bootmenu.DoneName && v.known {
		return newText(LayerGenerated, name, bootmenu.DoneText(v.decision)), nil
	}
	entry, format, isEntry := bootmenu.MenuEntry(name)
	if !v.known || name != bootmenu.ScriptName && !isEntry {
		return nil, notFound(name)
	}
	d := v.decision
	if isEntry {
		m, ok := v.machine, false
		m.IPXE = format == bootmenu.FormatIPXE
		if d, ok = v.decision.Choose(entry, m); !ok {
			return nil, fmt.Errorf("%s: no such entry in the menu of this machine: %w", name, fs.ErrNotExist)
		}
		t.opts.Links.Decided(v.machine, d) // its files come from this profile now
	} else {
		format = bootmenu.FormatIPXE
		d = atMenu(d)
	}
	text, err := t.write(format, v, d)
	if err != nil {
		return nil, unwritten(name, err)
	}
	return newText(LayerGenerated, name, text), nil
}

// atMenu is d before something was chosen in its menu.
func atMenu(d bootmenu.Decision) bootmenu.Decision {
	if len(d.Menu) > 0 {
		d.Profile, d.Boot = "", bootmenu.Boot{}
	}
	return d
}

// errNothing is for machines that get nothing, and so no text.
var errNothing = errors.New("no profile is for this machine")

// write writes a text for v in the state of d. A machine whose firmware could be
// handed no loader may well have one of its own.
func (t *Tree) write(f bootmenu.Format, v visitor, d bootmenu.Decision) ([]byte, error) {
	switch d.Reason {
	case "", bootmenu.ReasonNoLoader, bootmenu.ReasonNoMenuLoader:
	default:
		return nil, errNothing
	}
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
