package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"netbootd/bootmenu"
	"netbootd/internal/control"
	"netbootd/internal/loaders"
)

// firstLoad applies the plan that is there at the start. A TFTP port that is
// taken, or a broken netbootd.toml, is a reason not to start.
func (d *Daemon) firstLoad() error {
	_, plan, err := d.opts.Load()
	if err != nil {
		return err
	}
	if d.opts.Settings.TFTP.Always {
		if err := d.listener.hold(holderAlways); err != nil {
			return err
		}
	}
	d.ops.Lock()
	defer d.ops.Unlock()
	set := d.scanLoaders(d.opts.Settings)
	problems, err := d.apply(context.Background(), plan, set)
	if err != nil {
		return err
	}
	d.noteReload(problems)
	d.opts.Logger.Info("images are in", "images", d.images.Dir())
	if err := d.images.Writable(); err != nil {
		d.opts.Logger.Warn("images are served, and nothing can be stored among them", "why", err.Error())
	}
	if len(d.listener.addrs()) == 0 {
		d.opts.Logger.Warn("no profile is started, so TFTP is down and no machine is answered", "hint", "put a profile into "+d.opts.ProfilesDir+", or start one: netbootd start NAME")
	}
	return nil
}

// reloadAll reads the configuration anew and applies what is good of it.
func (d *Daemon) reloadAll() {
	d.ops.Lock()
	defer d.ops.Unlock()
	settings, plan, err := d.opts.Load()
	if err != nil {
		d.opts.Logger.Error("reload failed, everything stays as it was", "why", err.Error())
		d.noteReload(strings.Split(err.Error(), "\n"))
		return
	}
	if !reflect.DeepEqual(restartSettings(settings), restartSettings(d.opts.Settings)) {
		d.opts.Logger.Warn("netbootd.toml has changed; all but profiles and loaders takes effect after a restart")
	}
	problems, err := d.apply(context.Background(), plan, d.scanLoaders(settings))
	if err != nil {
		problems = append(problems, explain(err).Error())
	}
	d.noteReload(problems)
	d.opts.Logger.Info("reloaded", "problems", len(problems), "answers", d.answers())
}

// restartSettings are the settings without those that a reload changes.
func restartSettings(s Settings) Settings {
	s.LoaderDirs = nil
	return s
}

// scanLoaders looks for boot loaders, and tells what it found if that is news.
func (d *Daemon) scanLoaders(s Settings) *loaders.Set {
	before, set := d.tree.Loaders(), loaders.Scan(s.LoaderDirs)
	preferred := set.Preferred()
	if !maps.Equal(preferred, before.Preferred()) {
		for _, l := range set.All() {
			if preferred[l.Arch] == l.TreeName() {
				d.opts.Logger.Info("boot loader found", "arch", l.Arch.String(), "path", l.Path, "file", l.TreeName())
			}
		}
		if len(preferred) == 0 {
			d.opts.Logger.Warn("no boot loader was found", "looked_in", s.LoaderDirs, "hint", loaders.Hint(bootmenu.ArchX64UEFI))
		}
	}
	for _, skip := range set.Skipped {
		if !slices.Contains(before.Skipped, skip) {
			d.opts.Logger.Warn("not a boot loader", "path", skip.Path, "why", skip.Why)
		}
	}
	return set
}

// apply puts a plan in force in one step, and returns the problems of single
// profiles, a line each. A broken file keeps its last good version; a file that
// is gone is a stop. The caller holds d.ops.
func (d *Daemon) apply(ctx context.Context, plan Plan, set *loaders.Set) (problems []string, err error) {
	started, err := d.started.Load()
	if err != nil {
		return nil, err
	}
	next := d.merge(plan)
	for name, p := range next {
		p.started = p.Profile != nil && wanted(p.Profile, started)
		if !p.started {
			continue
		}
		if holdErr := d.listener.hold(profileHolder(name)); holdErr != nil {
			p.started = false
			err = errors.Join(err, fmt.Errorf("profile %s: %w", name, holdErr))
		}
	}
	d.mu.Lock()
	gone := d.profiles
	d.profiles = next
	d.mu.Unlock()
	d.publish(set)
	for _, name := range slices.Sorted(maps.Keys(next)) {
		d.tellProfile(name, gone[name], next[name])
		problems = append(problems, next[name].problems...)
	}
	for name, old := range gone {
		if p := next[name]; old.started && (p == nil || !p.started) {
			d.opts.Logger.Info("profile stopped", "profile", name, "deleted", p == nil)
			err = errors.Join(err, d.listener.release(ctx, profileHolder(name)))
		}
	}
	slices.Sort(problems)
	return problems, err
}

// merge is the profiles of a plan, with the last good version of those whose
// files are broken.
func (d *Daemon) merge(plan Plan) map[string]*profile {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := make(map[string]*profile)
	for _, p := range plan.Profiles {
		next[p.Name] = &profile{Profile: p}
	}
	for name, problems := range plan.Broken {
		p := &profile{problems: problems}
		if old := d.profiles[name]; old != nil {
			p.Profile = old.Profile
		}
		next[name] = p
	}
	return next
}

// wanted tells whether a profile is to be started: what was done by hand stands
// above autostart.
func wanted(p *bootmenu.Profile, s Started) bool {
	if up, ok := s.Profiles[p.Name]; ok {
		return up
	}
	return p.Autostart
}

// publish puts the started profiles into the catalog that machines are answered
// from.
func (d *Daemon) publish(set *loaders.Set) {
	d.mu.Lock()
	var started []*bootmenu.Profile
	states := make(map[string]bool)
	for name, p := range d.profiles {
		states[name] = p.started
		if p.started {
			started = append(started, p.Profile)
		}
	}
	d.mu.Unlock()
	d.tree.SetPlan(bootmenu.NewCatalog(started, set.Preferred()), set)
	d.metrics.Profiles(states)
}

// noteReload keeps how the configuration was last read.
func (d *Daemon) noteReload(problems []string) {
	now := time.Now()
	d.metrics.Reloaded(len(problems) == 0, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reload = control.Reload{Time: now, OK: len(problems) == 0, Problems: problems}
}
