package daemon

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
	"netbootd/tftp"
)

// A profile is one boot profile and how it stands.
type profile struct {
	*bootmenu.Profile          // the last good version; nil if there never was one
	problems          []string // of its file as it is now; it is broken then
	started           bool
	until             time.Time // when it was started or stopped for a time: its end
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
}

// matchText is whom a profile is for.
func matchText(p *bootmenu.Profile) string {
	if p.Match == nil {
		return "the menu"
	}
	return p.Match.String()
}

// StartProfile implements control.Profiles.
func (d *Daemon) StartProfile(ctx context.Context, name string, how control.TurnRequest) (control.Turned, error) {
	return d.turnByHand(ctx, name, true, how)
}

// StopProfile implements control.Profiles.
func (d *Daemon) StopProfile(ctx context.Context, name string, how control.TurnRequest) (control.Turned, error) {
	return d.turnByHand(ctx, name, false, how)
}

// turnByHand starts or stops a profile, for good or for a time. It waits for the
// end of transfers without keeping others from starting and stopping meanwhile.
func (d *Daemon) turnByHand(ctx context.Context, name string, up bool, how control.TurnRequest) (control.Turned, error) {
	var until time.Time
	switch {
	case how.For < 0 || how.For > 0 && how.Auto:
		return control.Turned{}, control.Invalid("want a time that is not over yet, and not together with auto")
	case how.For > 0:
		until = time.Now().Add(time.Duration(how.For)).UTC().Round(0)
	}
	edit := func(s *Started) { s.turn(name, up, until) }
	if how.Auto {
		edit = func(s *Started) { s.forget(name) }
	}
	turned, server, err := d.turn(ctx, name, edit)
	if err != nil {
		return turned, err
	}
	// Whoever asked may go away meanwhile; the transfers have their time all the same.
	return turned, d.listener.drained(context.WithoutCancel(ctx), server, d.opts.Settings.TFTP.Drain)
}

// turn notes on disk what was done to a profile by hand, and puts that in force.
// If nobody holds the listener any more it returns the server whose transfers are
// still to end.
func (d *Daemon) turn(ctx context.Context, name string, edit func(*Started)) (t control.Turned, drain *tftp.Server, err error) {
	d.ops.Lock()
	defer d.ops.Unlock()
	p, err := d.lookup(name)
	if err != nil {
		return t, nil, err
	}
	kept, err := d.started.Load()
	if err != nil {
		return t, nil, err
	}
	planned := kept.at(time.Now())
	edit(&planned)
	up, was := planned.wants(p.Profile), d.isStarted(p)
	if up && !was {
		if err := d.holdFor(ctx, p.Profile); err != nil {
			return t, nil, err
		}
	}
	if kept, err = changeStarted(d.started, time.Now(), edit); err != nil {
		if up && !was {
			d.drainLater(d.listener.letGo(profileHolder(name)))
		}
		return t, nil, err
	}
	drain = d.putInForce(kept, p, up)
	d.pokeDeadlines()
	t = control.Turned{Profile: d.profileStatus(name, p, up), Already: up == was}
	for _, a := range d.listener.addrs() {
		t.Addresses = append(t.Addresses, a.String())
	}
	return t, drain, nil
}

// holdFor brings the listener up for a profile that can boot something.
func (d *Daemon) holdFor(ctx context.Context, p *bootmenu.Profile) error {
	if !d.tree.Bootable(p) {
		return control.Conflict(fmt.Sprintf("profile %q cannot boot any machine it is for: %s", p.Name, boottree.Summary(d.tree.Verify(p))))
	}
	if err := d.listener.hold(ctx, profileHolder(p.Name)); err != nil {
		return control.Conflict(fmt.Sprintf("profile %q: %v", p.Name, explain(err)))
	}
	return nil
}

func (d *Daemon) isStarted(p *profile) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return p.started
}

// putInForce has a profile be started or stopped, as kept says. Its listener is
// held already if it starts; if nobody holds it any more when it stops, the server
// is returned whose transfers are still to end. The caller holds d.ops.
func (d *Daemon) putInForce(kept Started, p *profile, up bool) *tftp.Server {
	d.mu.Lock()
	changed := p.started != up
	p.started, p.until = up, kept.Timed[p.Name].Until
	d.mu.Unlock()
	if !changed {
		return nil
	}
	d.publish(d.tree.Loaders())
	if up {
		d.opts.Logger.Info("profile started", "profile", p.Name, "for", matchText(p.Profile))
		d.tellFaults(p.Profile, d.tree.Survey())
		return nil
	}
	d.opts.Logger.Info("profile stopped", "profile", p.Name, "for", matchText(p.Profile))
	return d.listener.letGo(profileHolder(p.Name))
}

// pokeDeadlines has the daemon look again at what was started and stopped for a
// time.
func (d *Daemon) pokeDeadlines() {
	select {
	case d.deadlines <- struct{}{}:
	default: // it will look at everything
	}
}

// checkDeadlines ends what was started or stopped for a time that is over, and
// tells after how long to look again. Transfers end by themselves meanwhile.
func (d *Daemon) checkDeadlines(ctx context.Context) time.Duration {
	d.ops.Lock()
	defer d.ops.Unlock()
	kept, err := d.started.Load()
	if err != nil {
		d.opts.Logger.Error("cannot read what was started and stopped for a time", "why", err.Error())
		return deadlineRetry
	}
	kept = kept.at(time.Now())
	for _, p := range d.timed() {
		if _, more := kept.Timed[p.Name]; more {
			continue
		}
		up := kept.wants(p.Profile)
		if up && !d.isStarted(p) {
			if err := d.holdFor(ctx, p.Profile); err != nil {
				d.opts.Logger.Error("cannot start the profile again", "profile", p.Name, "why", err.Error())
				up = false
			}
		}
		d.opts.Logger.Info("the time is over for which the profile was started or stopped", "profile", p.Name, "is_started", up)
		d.drainLater(d.putInForce(kept, p, up))
	}
	if next := kept.next(); !next.IsZero() {
		return min(time.Until(next), time.Hour)
	}
	return time.Hour
}

// deadlineRetry is how long after a failure it is looked again at what was started
// and stopped for a time.
const deadlineRetry = 10 * time.Second

// timed are the profiles that are started or stopped for a time.
func (d *Daemon) timed() (list []*profile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.profiles)) {
		if p := d.profiles[name]; p.Profile != nil && !p.until.IsZero() {
			list = append(list, p)
		}
	}
	return list
}

// drainLater lets the transfers of a server end while the daemon goes on.
func (d *Daemon) drainLater(server *tftp.Server) {
	if server == nil {
		return
	}
	d.drains.Go(func() {
		if err := d.listener.drained(context.Background(), server, d.opts.Settings.TFTP.Drain); err != nil {
			d.opts.Logger.Error("a TFTP service that nobody holds does not end as it should", "why", err.Error())
		}
	})
}

// lookup is the profile of that name, if it can be started.
func (d *Daemon) lookup(name string) (*profile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.profiles[name]
	switch {
	case !ok:
		return nil, unknownProfile(name, d.profiles)
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
