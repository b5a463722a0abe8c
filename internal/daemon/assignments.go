package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"netbootd/bootmenu"
)

const (
	// maxAssigned bounds the machines that have assignments.
	maxAssigned = 16384
	// doneAge is how long a machine whose once-assignment was consumed boots from
	// disk rather than the menu.
	doneAge = 24 * time.Hour
	// retryConsumed is how long after a failure it is tried again to write down
	// what was consumed.
	retryConsumed = 10 * time.Second
)

// errTooManyAssigned refuses one more machine.
var errTooManyAssigned = fmt.Errorf("%d machines have assignments already, and no more are kept", maxAssigned)

// Ending is how a once-assignment ended. Endings are a closed set, because they
// are metric labels.
type Ending string

// The endings of a once-assignment. One that is cleared or replaced has none.
const (
	EndDelivered Ending = "delivered" // its kernel or boot file was, or its machine read netbootd/done
	EndCommand   Ending = "command"   // somebody said that the machine is done
	EndExpired   Ending = "expired"   // its time was over
)

// An ended is a once-assignment that has ended.
type ended struct {
	mac bootmenu.MAC
	Given
	by Ending
}

// assignments are those in force. They decide from memory and change on disk
// first, with one exception: a once-assignment whose file was delivered decides no
// more from that moment on, and is written down by [assignments.run] right after.
// So no machine is offered its installer once more while the process lives, not
// even if the disk is full. If the power fails within those milliseconds, the
// assignment stands again after the restart, and its installer is offered once
// more; the other order could take an assignment away that never was delivered.
type assignments struct {
	store   AssignmentStore
	now     func() time.Time
	changed func(machines map[bootmenu.MAC]MachineAssignments) // told what stands after each change
	ended   func(ended)                                        // told of each end once, when it is on disk
	failed  func(error)                                        // told when an end could not be written down

	writing sync.Mutex    // one change at a time
	wake    chan struct{} // something was delivered, or another deadline is the next

	mu        sync.Mutex // guards what follows
	kept      Assigned   // as on disk
	delivered map[bootmenu.MAC]bootmenu.AssignmentID
}

// openAssignments reads what was kept.
func openAssignments(store AssignmentStore, now func() time.Time) (*assignments, error) {
	kept, err := store.Load()
	if err != nil {
		return nil, err
	}
	return &assignments{
		store: store, now: now, kept: kept,
		wake: make(chan struct{}, 1), delivered: make(map[bootmenu.MAC]bootmenu.AssignmentID),
	}, nil
}

// of is what decides for a machine.
func (a *assignments) of(mac bootmenu.MAC) bootmenu.Assignments {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.kept.Machines[mac]
	if !ok {
		return bootmenu.Assignments{}
	}
	now := a.now()
	if id, ok := a.delivered[mac]; ok {
		m = m.consume(id, now)
	}
	m = m.at(now)
	return bootmenu.Assignments{Once: m.Once.Assignment, Pinned: m.Pinned.Assignment, Done: m.Done.Assignment}
}

// get is what stands for a machine, as it is on disk.
func (a *assignments) get(mac bootmenu.MAC) MachineAssignments {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept.Machines[mac].at(a.now())
}

// all is what stands for every machine, as it is on disk.
func (a *assignments) all() map[bootmenu.MAC]MachineAssignments {
	a.mu.Lock()
	defer a.mu.Unlock()
	return standing(a.kept.Machines, a.now())
}

// standing is what of machines stands at that time.
func standing(machines map[bootmenu.MAC]MachineAssignments, now time.Time) map[bootmenu.MAC]MachineAssignments {
	left := make(map[bootmenu.MAC]MachineAssignments, len(machines))
	for mac, m := range machines {
		if m = m.at(now); m != (MachineAssignments{}) {
			left[mac] = m
		}
	}
	return left
}

// consume is m after its once-assignment with that ID was consumed; m itself if it
// has none, or another one.
func (m MachineAssignments) consume(id bootmenu.AssignmentID, now time.Time) MachineAssignments {
	if m.Once.ID == 0 || m.Once.ID != id {
		return m
	}
	m.Done = Given{m.Once.Assignment, now, now.Add(doneAge)}
	m.Once = Given{}
	return m
}

// pin assigns a machine to a profile until that is taken back.
func (a *assignments) pin(mac bootmenu.MAC, profile string) error {
	return a.change(func(machines map[bootmenu.MAC]MachineAssignments, id bootmenu.AssignmentID, now time.Time) []ended {
		machines[mac] = MachineAssignments{Pinned: Given{bootmenu.Assignment{ID: id, Profile: profile}, now, time.Time{}}}
		return nil
	})
}

// once assigns a machine to a profile for one boot within that time. What it is
// pinned to stands again afterwards.
func (a *assignments) once(mac bootmenu.MAC, profile string, within time.Duration) error {
	return a.change(func(machines map[bootmenu.MAC]MachineAssignments, id bootmenu.AssignmentID, now time.Time) []ended {
		given := Given{bootmenu.Assignment{ID: id, Profile: profile}, now, now.Add(within)}
		machines[mac] = MachineAssignments{Once: given, Pinned: machines[mac].Pinned}
		return nil
	})
}

// clear takes back what a machine is assigned to. It tells what that was.
func (a *assignments) clear(mac bootmenu.MAC) (was MachineAssignments, err error) {
	err = a.change(func(machines map[bootmenu.MAC]MachineAssignments, _ bootmenu.AssignmentID, _ time.Time) []ended {
		was = machines[mac]
		delete(machines, mac)
		return nil
	})
	return was, err
}

// finish consumes the once-assignment that stands for a machine. It tells which
// that was.
func (a *assignments) finish(mac bootmenu.MAC) (was Given, err error) {
	err = a.change(func(machines map[bootmenu.MAC]MachineAssignments, _ bootmenu.AssignmentID, now time.Time) []ended {
		if was = machines[mac].Once; was.ID == 0 {
			return nil
		}
		machines[mac] = machines[mac].consume(was.ID, now)
		return []ended{{mac, was, EndCommand}}
	})
	return was, err
}

// deliver notes that the file which consumes a once-assignment was delivered. It
// does not block.
func (a *assignments) deliver(mac bootmenu.MAC, id bootmenu.AssignmentID) {
	a.mu.Lock()
	if a.kept.Machines[mac].Once.ID == id {
		a.delivered[mac] = id
	}
	a.mu.Unlock()
	a.poke()
}

// poke has run look again at what there is to do.
func (a *assignments) poke() {
	select {
	case a.wake <- struct{}{}:
	default: // it will look at everything
	}
}

// run writes down what was delivered and what has expired, until ctx ends, and
// what was delivered by then.
func (a *assignments) run(ctx context.Context) {
	due := time.NewTimer(0) // what has expired while nobody was there
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			a.settle()
			return
		case <-a.wake:
		case <-due.C:
		}
		due.Reset(a.settle())
	}
}

// settle writes down what was delivered and what has expired, and tells after how
// long there may be more to do.
func (a *assignments) settle() time.Duration {
	if err := a.change(nil); err != nil {
		a.failed(err)
		return retryConsumed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, next := a.now(), time.Hour
	for _, m := range a.kept.Machines {
		for _, g := range []Given{m.Once, m.Done} {
			if g.ID != 0 {
				next = min(next, max(0, g.Until.Sub(now)))
			}
		}
	}
	return next
}

// An assignmentEdit changes machines, and tells which once-assignments that ends.
// What it assigns gets that ID, and stands since now.
type assignmentEdit func(machines map[bootmenu.MAC]MachineAssignments, id bootmenu.AssignmentID, now time.Time) []ended

// change changes what is kept: it consumes what was delivered, drops what has
// expired, and then does what edit says, if it is given. It returns after all that
// is on disk and in force, and was told.
func (a *assignments) change(edit assignmentEdit) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	for {
		kept, err := a.store.Load()
		if err != nil {
			return err
		}
		now := a.now().UTC().Round(0) // without the monotonic clock, as it is read back
		machines, delivered, ends := a.overdue(kept, now)
		if edit != nil {
			ends = append(ends, edit(machines, bootmenu.AssignmentID(kept.Rev+1), now)...)
		}
		if len(machines) > maxAssigned && len(machines) > len(kept.Machines) {
			return errTooManyAssigned
		}
		if !maps.Equal(machines, kept.Machines) {
			err = a.store.CompareAndSet(kept, machines)
			kept.Rev++
		}
		switch {
		case errors.Is(err, ErrStale):
			continue
		case err != nil:
			return err
		}
		a.enter(Assigned{kept.Rev, machines}, delivered)
		for _, e := range ends {
			a.ended(e)
		}
		a.changed(machines)
		if edit != nil {
			a.poke() // its deadline may be the next
		}
		return nil
	}
}

// overdue is what is kept without what was delivered, and what has expired.
func (a *assignments) overdue(kept Assigned, now time.Time) (machines map[bootmenu.MAC]MachineAssignments, delivered map[bootmenu.MAC]bootmenu.AssignmentID, ends []ended) {
	a.mu.Lock()
	delivered = maps.Clone(a.delivered)
	a.mu.Unlock()
	machines = maps.Clone(kept.Machines)
	for mac, id := range delivered {
		if m := machines[mac]; m.Once.ID == id {
			machines[mac] = m.consume(id, now)
			ends = append(ends, ended{mac, m.Once, EndDelivered})
		}
	}
	for mac, m := range machines {
		if m.Once.ID != 0 && m.Once.at(now).ID == 0 {
			ends = append(ends, ended{mac, m.Once, EndExpired})
		}
	}
	return standing(machines, now), delivered, ends
}

// enter puts in force what is on disk now, with what was delivered in it.
func (a *assignments) enter(kept Assigned, delivered map[bootmenu.MAC]bootmenu.AssignmentID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = kept
	for mac, id := range delivered {
		if a.delivered[mac] == id {
			delete(a.delivered, mac)
		}
	}
}
