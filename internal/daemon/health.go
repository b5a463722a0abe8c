package daemon

import (
	"context"
	"slices"
	"time"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
)

// lookEvery is how long what is known of the profiles' files stays unrenewed. Machines
// are answered by it, so that no packet waits for a disk.
const lookEvery = 2 * time.Second

// watchFiles looks at the files of the started profiles again and again until ctx
// ends, and tells what has changed.
func (d *Daemon) watchFiles(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			survey := d.tree.Survey()
			for _, p := range d.health.Refresh() {
				d.tellFaults(p, survey)
			}
		}
	}
}

// tellFaults says what a profile lacks on this host, and that it lacks nothing any
// more, each once, as a survey sees it. A profile that never was good is nil, and
// lacks nothing.
func (d *Daemon) tellFaults(p *bootmenu.Profile, survey *boottree.Survey) {
	if p == nil {
		return
	}
	d.telling.Lock()
	defer d.telling.Unlock()
	found := slices.DeleteFunc(survey.Verify(p), func(f boottree.Finding) bool { return f.Warning && f.Fault != boottree.FaultTurnedOff })
	before, now := d.faults[p.Name], boottree.Summary(found)
	d.faults[p.Name] = now
	d.metrics.Degraded(p.Name, len(boottree.Faults(found)) > 0)
	switch {
	case now == before:
	case now == "":
		d.opts.Logger.Info("profile is whole again", "profile", p.Name)
	default:
		for _, f := range found {
			message := "profile is degraded"
			if f.Fault == boottree.FaultTurnedOff {
				message = "a hand-written file stands in for what is generated"
			}
			d.opts.Logger.Warn(message, "profile", p.Name, "why", f.Text, "hint", f.Hint)
		}
	}
}

// forgetFaults drops what was told of profiles that are gone.
func (d *Daemon) forgetFaults(left map[string]*profile) {
	d.telling.Lock()
	defer d.telling.Unlock()
	for name := range d.faults {
		if left[name] == nil {
			delete(d.faults, name)
			d.metrics.Forget(name)
		}
	}
}
