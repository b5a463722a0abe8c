package boottree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"netbootd/bootmenu"
)

// A Place is what one layer has for a name.
type Place struct {
	Layer Layer
	Name  string // in that layer; empty if it has none
	Size  int64  // bytes
	Why   string // why it has none that can be served
}

// A Found tells which layer has the file that a name stands for.
type Found struct {
	Machine bootmenu.Machine
	Profile string  // the machine's; empty if it has none
	Name    string  // that was looked up in the end
	Winner  Layer   // empty if there is no such file
	Why     string  // why that one, or why none
	Places  []Place // every layer, in order
}

// Which tells which file the machine with that MAC would get for a name, and what the
// other layers have. The zero MAC is a stranger. Nothing is noted, as if nobody had
// asked.
func (t *Tree) Which(ctx context.Context, mac bootmenu.MAC, r Request) (Found, error) {
	name, err := Clean(r.Name)
	if err != nil {
		return Found{}, err
	}
	v := visitor{machine: bootmenu.Machine{Addr: r.Client, Arch: bootmenu.ArchUnknown}}
	if !mac.IsZero() {
		v = t.machine(resident{mac: mac, arch: bootmenu.ArchUnknown}, r.Client)
	}
	v.server = r.Server
	found := Found{Machine: v.machine, Profile: v.decision.Profile, Name: name}
	if isReserved(name) {
		return t.whichReserved(v, found), nil
	}
	for {
		found.Places = t.places(ctx, v, found.Name)
		f, err := t.findHere(ctx, v, found.Name)
		if err == nil {
			found.Winner = f.Layer
			found.Why = whyWins(found, f, name)
			return found, f.Close()
		}
		found.Why = err.Error()
		other, ok := t.otherName(v, found.Name)
		if !ok || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnwritten) {
			return found, nil
		}
		found.Name = other
	}
}

// whichReserved is the answer for a name that only the program itself writes.
func (t *Tree) whichReserved(v visitor, found Found) Found {
	text, _, err := t.reserved(v, found.Name)
	if err != nil {
		found.Why = err.Error()
		return found
	}
	found.Winner, found.Why = LayerGenerated, "the name is reserved, and no layer is asked for it"
	found.Places = []Place{{Layer: LayerGenerated, Name: found.Name, Size: int64(len(text))}}
	return found
}

// places looks at a name in every layer, exactly before without regard to case.
func (t *Tree) places(ctx context.Context, v visitor, name string) []Place {
	var places []Place
	for _, l := range t.layers() {
		p := Place{Layer: l.layer}
		for _, fold := range []bool{false, true} {
			f, err := l.open(ctx, v, name, fold)
			if err == nil {
				p = Place{Layer: l.layer, Name: f.Name, Size: f.Size()}
				_ = f.Close() // it was only looked at
				break
			}
			if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnwritten) || errors.Is(err, errTurnedOff) {
				p.Why = err.Error()
			}
		}
		places = append(places, p)
	}
	return places
}

// whyWins says in one line why f is what the machine gets.
func whyWins(found Found, f *File, asked string) string {
	why := "the first layer that has it"
	for _, p := range found.Places {
		switch {
		case p.Layer == f.Layer:
			if f.Layer == LayerGenerated {
				why = "written from the profile, for no layer above has a name of the series that the loader goes through"
			}
			return why + otherwise(found.Name, asked)
		case p.Name != "":
			why = fmt.Sprintf("the first layer that has it in just this case, %s has %s", p.Layer, p.Name)
		}
	}
	return why + otherwise(found.Name, asked)
}

// otherwise tells of a name that was looked up in the place of another.
func otherwise(name, asked string) string {
	if name == asked {
		return ""
	}
	return fmt.Sprintf("; %s stands for %s", asked, name)
}
