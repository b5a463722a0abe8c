package daemon

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"netbootd/bootmenu"
)

// Assigned is what machines are assigned to. It outlives the process.
type Assigned struct {
	Rev      int64 // grows with each change
	Machines map[bootmenu.MAC]MachineAssignments
}

// MachineAssignments are those of one machine. The zero value is none.
type MachineAssignments struct {
	Once, Pinned, Done Given // as in [bootmenu.Assignments]
}

// A Given is one assignment, or none if its ID is zero.
type Given struct {
	bootmenu.Assignment
	Since time.Time
	Until time.Time // zero: without end
}

// at is g if it stands at that time, else none.
func (g Given) at(now time.Time) Given {
	if g.ID == 0 || !g.Until.IsZero() && !now.Before(g.Until) {
		return Given{}
	}
	return g
}

// at is what of m stands at that time.
func (m MachineAssignments) at(now time.Time) MachineAssignments {
	return MachineAssignments{Once: m.Once.at(now), Pinned: m.Pinned.at(now), Done: m.Done.at(now)}
}

// An AssignmentStore keeps assignments. Implementations are safe for concurrent
// use; one that is shared by a fleet is thinkable, hence the comparison.
type AssignmentStore interface {
	Load() (Assigned, error)
	// CompareAndSet replaces what is kept if its Rev is still old's, with the
	// next Rev, and returns [ErrStale] otherwise. It returns after the change is
	// on disk.
	CompareAndSet(old Assigned, machines map[bootmenu.MAC]MachineAssignments) error
}

// assignmentsFormat is the version of the file's layout.
const assignmentsFormat = 1

// assignmentsFile keeps them in one small file that is replaced by rename.
type assignmentsFile struct{ revisedFile }

type assignmentsJSON struct {
	Format   int           `json:"format"`
	Rev      int64         `json:"rev"`
	Machines []machineJSON `json:"machines"`
}

type machineJSON struct {
	MAC    bootmenu.MAC `json:"mac"`
	Once   *givenJSON   `json:"once,omitempty"`
	Pinned *givenJSON   `json:"pinned,omitempty"`
	Done   *givenJSON   `json:"done,omitempty"`
}

type givenJSON struct {
	ID      bootmenu.AssignmentID `json:"id"`
	Profile string                `json:"profile"`
	Since   time.Time             `json:"since"`
	Until   time.Time             `json:"until,omitzero"`
}

func newAssignmentsFile(stateDir string) *assignmentsFile {
	return &assignmentsFile{revisedFile{path: filepath.Join(stateDir, "assignments.json"), format: assignmentsFormat}}
}

// Load implements AssignmentStore. A file that is not there yet is an empty one.
func (s *assignmentsFile) Load() (Assigned, error) {
	var j assignmentsJSON
	if err := s.read(&j); err != nil {
		return Assigned{}, err
	}
	a := Assigned{Rev: j.Rev, Machines: make(map[bootmenu.MAC]MachineAssignments)}
	for _, m := range j.Machines {
		a.Machines[m.MAC] = MachineAssignments{Once: m.Once.given(), Pinned: m.Pinned.given(), Done: m.Done.given()}
	}
	return a, nil
}

// CompareAndSet implements AssignmentStore.
func (s *assignmentsFile) CompareAndSet(old Assigned, machines map[bootmenu.MAC]MachineAssignments) error {
	j := assignmentsJSON{Format: assignmentsFormat, Rev: old.Rev + 1}
	for _, mac := range slices.SortedFunc(maps.Keys(machines), compareMAC) {
		m := machines[mac]
		j.Machines = append(j.Machines, machineJSON{MAC: mac, Once: m.Once.json(), Pinned: m.Pinned.json(), Done: m.Done.json()})
	}
	return s.replace(old.Rev, j)
}

func compareMAC(a, b bootmenu.MAC) int { return cmp.Compare(a.String(), b.String()) }

func (j *givenJSON) given() Given {
	if j == nil {
		return Given{}
	}
	return Given{bootmenu.Assignment{ID: j.ID, Profile: j.Profile}, j.Since, j.Until}
}

func (g Given) json() *givenJSON {
	if g.ID == 0 {
		return nil
	}
	return &givenJSON{g.ID, g.Profile, g.Since, g.Until}
}
