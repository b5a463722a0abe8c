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
	d.watchSources(plan)
	if _, plan, err = d.opts.Load(); err != nil { // with what has changed before it was watched
		return err
	}
	if err := d.holdBySettings(); err != nil {
		return err
	}
	d.ops.Lock()
	defer d.ops.Unlock()
	set := d.scanLoaders(d.opts.Settings)
	problems, err := d.apply(context.Background(), plan, set)
	if err != nil {
		return err
	}
	d.noteReload(problems, nil)
	d.opts.Logger.Info("images are in", "images", d.images.Dir())
	if err := d.images.Writable(); err != nil {
		d.opts.Logger.Warn("images are served, and nothing can be stored among them", "why", err.Error())
	}
	if len(d.listener.addrs()) == 0 {
		d.opts.Logger.Warn("no profile is started, so TFTP is down and no machine is answered", "hint", "put a profile into "+d.opts.ProfilesDir+", or start one: netbootd start NAME")
	}
	return nil
}

// holdBySettings brings the listener up where no profile is needed for that.
func (d *Daemon) holdBySettings() error {
	kept, err := d.started.Load()
	if err != nil {
		return err
	}
	for holder, holds := range map[string]bool{holderAlways: d.opts.Settings.TFTP.Always, holderManual: kept.TFTP} {
		if !holds {
			continue
		}
		if err := d.listener.hold(context.Background(), holder); err != nil {
			return err
		}
	}
	return nil
}

// needsRestart tells of settings that a reload does not put in force.
const needsRestart = "netbootd.toml has changed; all but profiles, menu and loaders takes effect after a restart"

// Reload implements control.Daemon: it reads the configuration anew and applies
// what is good of it.
func (d *Daemon) Reload() control.Reload {
	d.ops.Lock()
	defer d.ops.Unlock()
	settings, plan, err := d.opts.Load()
	if err != nil {
		result := d.noteReload(strings.Split(err.Error(), "\n"), nil)
		d.opts.Logger.Error("reload failed, everything stays as it was", "why", err.Error())
		return result
	}
	var notes []string
	if !reflect.DeepEqual(restartSettings(settings), restartSettings(d.opts.Settings)) {
		d.opts.Logger.Warn(needsRestart)
		notes = append(notes, needsRestart)
	}
	d.menu = settings.Menu
	problems, err := d.apply(context.Background(), plan, d.scanLoaders(settings))
	if err != nil {
		problems = append(problems, explain(err).Error())
	}
	d.watchSources(plan)
	result := d.noteReload(problems, notes)
	d.opts.Logger.Info("reloaded", "problems", len(problems), "answers", d.answers())
	return result
}

// restartSettings are the settings without those that a reload changes.
func restartSettings(s Settings) Settings {
	s.LoaderDirs, s.Menu = nil, bootmenu.Menu{}
	return s
}

// scanLoaders looks for boot loaders, and tells what it found if that is news.
func (d *Daemon) scanLoaders(s Settings) *loaders.Set {
	before, set := d.tree.Loaders(), loaders.Scan(s.LoaderDirs)
	preferred := set.Preferred()
	if !maps.Equal(preferred, before.Preferred()) {
		for _, l := range set.All() {
			if preferred[bootmenu.LoaderFor{Arch: l.Arch, Kind: l.Kind}] == l.TreeName() {
				d.opts.Logger.Info("boot loader found", "arch", l.Arch.String(), "path", l.Path, "file", l.TreeName())
			}
		}
		if len(preferred) == 0 {
			d.opts.Logger.Warn("no boot loader was found", "looked_in", s.LoaderDirs, "hint", loaders.Hint(bootmenu.ArchX64UEFI, bootmenu.LoaderIPXE))
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
	kept, err := d.started.Load()
	if err != nil {
		return nil, err
	}
	kept = kept.at(time.Now())
	next := d.merge(plan)
	for name, p := range next {
		p.until = kept.Timed[name].Until
		p.started = p.Profile != nil && kept.wants(p.Profile)
		if !p.started {
			continue
		}
		if holdErr := d.listener.hold(ctx, profileHolder(name)); holdErr != nil {
			p.started = false
			err = errors.Join(err, fmt.Errorf("profile %s: %w", name, holdErr))
		}
	}
	d.mu.Lock()
	gone := d.profiles
	d.profiles = next
	d.mu.Unlock()
	d.publish(set)
	survey := d.tree.Survey()
	for _, name := range slices.Sorted(maps.Keys(next)) {
		d.tellProfile(name, gone[name], next[name])
		d.tellFaults(next[name].Profile, survey)
		problems = append(problems, next[name].problems...)
	}
	d.forgetFaults(next)
	if err := d.menu.CheckDefault(profilesOf(next)); err != nil {
		d.opts.Logger.Warn("the menu boots from disk by default", "why", err.Error())
		problems = append(problems, err.Error())
	}
	for name, old := range gone {
		if p := next[name]; old.started && (p == nil || !p.started) {
			d.opts.Logger.Info("profile stopped", "profile", name, "deleted", p == nil)
			d.drainLater(d.listener.letGo(profileHolder(name)))
		}
	}
	d.pokeDeadlines()
	slices.Sort(problems)
	return problems, err
}

// profilesOf are the profiles that there is a good version of.
func profilesOf(all map[string]*profile) (profiles []*bootmenu.Profile) {
	for _, p := range all {
		if p.Profile != nil {
			profiles = append(profiles, p.Profile)
		}
	}
	return profiles
}

// merge is the profiles of a plan, with the last good version of those whose
// files are broken.
func (d *Daemon) merge(plan Plan) map[string]*profile {
	d.mu.Lock()
	defer d.mu.Unlock()
	inForce := make(map[string]*bootmenu.Profile)
	for name, p := range d.profiles {
		if p.Profile != nil {
			inForce[name] = p.Profile
		}
	}
	return plan.settle(inForce)
}

// publish puts the started profiles into the catalog that machines are answered
// from. It looks at their files before that.
func (d *Daemon) publish(set *loaders.Set) {
	d.mu.Lock()
	var started []*bootmenu.Profile
	var stopped []string
	states := make(map[string]bool)
	for name, p := range d.profiles {
		states[name] = p.started
		if p.started {
			started = append(started, p.Profile)
		} else {
			stopped = append(stopped, name)
		}
	}
	d.mu.Unlock()
	d.health.Watch(started, set)
	d.tree.SetPlan(bootmenu.NewCatalog(started, set.Preferred(), d.menu, stopped...), set)
	d.metrics.Profiles(states)
}

// noteReload keeps how the configuration was last read.
func (d *Daemon) noteReload(problems, notes []string) control.Reload {
	now := time.Now()
	d.metrics.Reloaded(len(problems) == 0, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reload = control.Reload{Rev: d.reload.Rev + 1, Time: now, OK: len(problems) == 0, Problems: problems, Notes: notes}
	return d.reload
}
