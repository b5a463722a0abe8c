package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"netbootd/bootmenu"
	"netbootd/internal/control"
	"netbootd/metrics"
	"netbootd/tftp"
)

// consume notes that a file was delivered whose delivery consumes a
// once-assignment. A client that acknowledged nothing may not be the machine at
// all: its address may be forged.
func (d *Daemon) consume(t tftp.Transfer) {
	if c, ok := t.Tag.(consumer); ok && t.Result == tftp.Delivered && t.Bytes > 0 {
		d.assigned.deliver(c.mac, c.id)
	}
}

// countAssigned tells the metrics what stands.
func (d *Daemon) countAssigned(machines map[bootmenu.MAC]MachineAssignments) {
	var n metrics.Assignments
	for _, m := range machines {
		n.Once += count(m.Once)
		n.Pinned += count(m.Pinned)
		n.Done += count(m.Done)
	}
	d.metrics.Assigned(n)
}

func count(g Given) int {
	if g.ID == 0 {
		return 0
	}
	return 1
}

// tellEnded says that a once-assignment has ended.
func (d *Daemon) tellEnded(e ended) {
	d.metrics.OnceEnded(string(e.by))
	text := "once-assignment consumed"
	if e.by == EndExpired {
		text = "once-assignment expired, and nobody has consumed it"
	}
	d.opts.Logger.Info(text, "mac", e.mac.String(), "profile", e.Profile, "by", string(e.by))
}

// tellUnwritten says that the end of a once-assignment is in memory only.
func (d *Daemon) tellUnwritten(err error) {
	d.opts.Logger.Error("cannot write down which assignments have ended; after a restart they would stand again", "why", err.Error())
}

// Assigned implements control.Assigner.
func (d *Daemon) Assigned(mac string) (control.Assignments, error) {
	m, err := parseMachine(mac)
	if err != nil {
		return control.Assignments{}, err
	}
	return d.assignmentsOf(m, d.assigned.get(m), false), nil
}

// Assign implements control.Assigner.
func (d *Daemon) Assign(mac string, what control.AssignRequest) (control.Assignments, error) {
	m, err := parseMachine(mac)
	if err != nil {
		return control.Assignments{}, err
	}
	p, err := d.lookup(what.Profile)
	if err != nil {
		return control.Assignments{}, err
	}
	if problem := unassignable(p.Profile, what); problem != "" {
		return control.Assignments{}, control.Invalid(problem)
	}
	if what.Once {
		within := time.Duration(what.Expires)
		if within == 0 {
			within = time.Duration(control.DefaultExpires)
		}
		err = d.assigned.once(m, p.Name, within)
	} else {
		err = d.assigned.pin(m, p.Name)
	}
	if err != nil {
		return control.Assignments{}, err
	}
	d.opts.Logger.Info("machine assigned", "mac", m.String(), "profile", p.Name, "once", what.Once)
	return d.assignmentsOf(m, d.assigned.get(m), true), nil
}

// unassignable says why a machine cannot be assigned to p so, or "".
func unassignable(p *bootmenu.Profile, what control.AssignRequest) string {
	switch {
	case what.Expires < 0 || what.Expires > 0 && !what.Once:
		return "a time after which an assignment expires must be more than zero, and goes with once only"
	case p.Once && !what.Once:
		return fmt.Sprintf("profile %q says once = true, so a machine can be assigned to it for one boot only: add --once", p.Name)
	case what.Once && p.Consumed == bootmenu.ConsumedDelivered && p.Boot.Instead != bootmenu.InsteadNothing && len(p.Arch) == 0:
		return fmt.Sprintf("profile %q loads nothing, so nothing would consume a once-assignment to it: leave --once out", p.Name)
	}
	return ""
}

// ClearAssignment implements control.Assigner.
func (d *Daemon) ClearAssignment(mac string) (control.Assignments, error) {
	m, err := parseMachine(mac)
	if err != nil {
		return control.Assignments{}, err
	}
	was, err := d.assigned.clear(m)
	if err != nil {
		return control.Assignments{}, err
	}
	changed := was != MachineAssignments{}
	if changed {
		d.opts.Logger.Info("machine is not assigned any more", "mac", m.String())
	}
	return d.assignmentsOf(m, d.assigned.get(m), changed), nil
}

// FinishAssignment implements control.Assigner.
func (d *Daemon) FinishAssignment(mac string) (control.Assignments, error) {
	m, err := parseMachine(mac)
	if err != nil {
		return control.Assignments{}, err
	}
	was, err := d.assigned.finish(m)
	if err != nil {
		return control.Assignments{}, err
	}
	return d.assignmentsOf(m, d.assigned.get(m), was.ID != 0), nil
}

func parseMachine(mac string) (bootmenu.MAC, error) {
	m, err := bootmenu.ParseMAC(mac)
	if err != nil {
		return m, control.Invalid(err.Error())
	}
	return m, nil
}

// assignmentsOf is what stands for a machine, and what is wrong with it.
func (d *Daemon) assignmentsOf(mac bootmenu.MAC, m MachineAssignments, changed bool) control.Assignments {
	a := control.Assignments{MAC: mac.String(), Once: m.Once.api(), Pinned: m.Pinned.api(), Done: m.Done.api(), Changed: changed}
	for _, problem := range []string{d.assignmentProblem(m.Once, false), d.assignmentProblem(m.Pinned, true)} {
		if problem != "" {
			a.Problems = append(a.Problems, problem)
		}
	}
	return a
}

// assignmentProblem says why a machine does not get what it is assigned to, or "".
func (d *Daemon) assignmentProblem(g Given, pinned bool) string {
	if g.ID == 0 {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch p := d.profiles[g.Profile]; {
	case p == nil:
		return fmt.Sprintf("profile %s does not exist any more, so the machine gets no answer", g.Profile)
	case !p.started:
		return fmt.Sprintf("profile %s is not started, so the machine gets no answer until: netbootd start %[1]s", g.Profile)
	case pinned && p.Once:
		return fmt.Sprintf("profile %s says once = true, and the machine is not assigned to it once, so it gets no answer", g.Profile)
	}
	return ""
}

// allAssignments are those of every machine, by MAC.
func (d *Daemon) allAssignments() (list []control.Assignments) {
	machines := d.assigned.all()
	for _, mac := range slices.SortedFunc(maps.Keys(machines), compareMAC) {
		list = append(list, d.assignmentsOf(mac, machines[mac], false))
	}
	return list
}

// api is g as the API has it, nil if it is none.
func (g Given) api() *control.Assignment {
	if g.ID == 0 {
		return nil
	}
	return &control.Assignment{Profile: g.Profile, Since: g.Since, Until: g.Until}
}
