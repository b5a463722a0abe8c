package daemon

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
)

// A profile is one boot profile and how it stands.
type profile struct {
	*bootmenu.Profile          // the last good version; nil if there never was one
	problems          []string // of its file as it is now; it is broken then
	started           bool
}

// tellProfile says how a profile stands, as far as that is news.
func (d *Daemon) tellProfile(name string, old, p *profile) {
	for _, line := range p.problems {
		d.opts.Logger.Error("profile file is broken", "profile", name, "why", line, "kept_last_good", p.Profile != nil)
	}
	known := old != nil && old.Profile != nil
	if p.Profile == nil || known && old.started == p.started && reflect.DeepEqual(old.Profile, p.Profile) {
		return
	}
	switch {
	case p.started && known && old.started:
		d.opts.Logger.Info("profile changed", "profile", name, "for", matchText(p.Profile))
	case p.started:
		d.opts.Logger.Info("profile started", "profile", name, "for", matchText(p.Profile))
	default:
		d.opts.Logger.Info("profile is not started", "profile", name)
	}
	for _, f := range d.tree.Verify(p.Profile) {
		d.opts.Logger.Warn("profile is degraded", "profile", name, "why", f.Text, "hint", f.Hint)
	}
}

// matchText is whom a profile is for.
func matchText(p *bootmenu.Profile) string {
	if p.Match == nil {
		return "the menu"
	}
	return p.Match.String()
}

// StartProfile implements control.Daemon.
func (d *Daemon) StartProfile(ctx context.Context, name string) (control.Profile, error) {
	d.ops.Lock()
	defer d.ops.Unlock()
	p, err := d.lookup(name)
	if err != nil {
		return control.Profile{}, err
	}
	if !d.tree.Bootable(p.Profile) {
		return control.Profile{}, control.Conflict(fmt.Sprintf("profile %q cannot boot any machine it is for: %s", name, findingText(d.tree.Verify(p.Profile))))
	}
	if err := d.listener.hold(ctx, profileHolder(name)); err != nil {
		return control.Profile{}, control.Conflict(fmt.Sprintf("profile %q: %v", name, explain(err)))
	}
	return d.turn(name, true)
}

// StopProfile implements control.Daemon.
func (d *Daemon) StopProfile(ctx context.Context, name string) (control.Profile, error) {
	d.ops.Lock()
	defer d.ops.Unlock()
	if _, err := d.lookup(name); err != nil {
		return control.Profile{}, err
	}
	p, err := d.turn(name, false)
	if err != nil {
		return p, err
	}
	return p, d.listener.release(ctx, profileHolder(name))
}

// turn notes on disk that a profile is started or stopped by hand, and puts that
// in force.
func (d *Daemon) turn(name string, up bool) (control.Profile, error) {
	if err := setStarted(d.started, name, up); err != nil {
		return control.Profile{}, err
	}
	d.mu.Lock()
	p := d.profiles[name]
	changed := p.started != up
	p.started = up
	d.mu.Unlock()
	if changed {
		d.publish(d.tree.Loaders())
		text := "profile stopped"
		if up {
			text = "profile started"
		}
		d.opts.Logger.Info(text, "profile", name, "for", matchText(p.Profile))
	}
	return d.profileStatus(name, p, up), nil
}

// lookup is the profile of that name, if it can be started.
func (d *Daemon) lookup(name string) (*profile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.profiles[name]
	switch {
	case !ok:
		return nil, control.NotFound(fmt.Sprintf("there is no profile %q, only %s", name, known(slices.Sorted(maps.Keys(d.profiles)))))
	case p.Profile == nil:
		return nil, control.Conflict(fmt.Sprintf("profile %q is broken: %s", name, strings.Join(p.problems, "; ")))
	}
	return p, nil
}

// known lists names for people.
func known(names []string) string {
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

// findingText is findings in one line.
func findingText(found []boottree.Finding) string {
	var texts []string
	for _, f := range found {
		texts = append(texts, f.Text)
	}
	return strings.Join(texts, "; ")
}
