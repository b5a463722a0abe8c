package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
)

// A memoryStore keeps assignments in memory, and can fail.
type memoryStore struct {
	mu   sync.Mutex
	kept Assigned
	fail error
}

func (s *memoryStore) Load() (Assigned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Assigned{s.kept.Rev, maps.Clone(s.kept.Machines)}, nil
}

func (s *memoryStore) CompareAndSet(old Assigned, machines map[bootmenu.MAC]MachineAssignments) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return s.fail
	case s.kept.Rev != old.Rev:
		return ErrStale
	}
	s.kept = Assigned{old.Rev + 1, maps.Clone(machines)}
	return nil
}

func (s *memoryStore) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// endings are the once-assignments that ended, and the failures to write that down.
type endings struct {
	mu     sync.Mutex
	list   []ended
	failed int
}

func (e *endings) all() []ended {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]ended(nil), e.list...)
}

// newAssignments are assignments in a store, and their endings.
func newAssignments(t *testing.T, store AssignmentStore) (*assignments, *endings) {
	t.Helper()
	if f, ok := store.(*memoryStore); ok && f.kept.Machines == nil {
		f.kept.Machines = make(map[bootmenu.MAC]MachineAssignments)
	}
	a, err := openAssignments(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	e := &endings{}
	a.changed = func(map[bootmenu.MAC]MachineAssignments) {}
	a.ended = func(one ended) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.list = append(e.list, one)
	}
	a.failed = func(error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.failed++
	}
	return a, e
}

func testMAC(n byte) bootmenu.MAC { return bootmenu.MACFromBytes([]byte{2, 0, 0, 0, 0, n}) }

func TestBothStoresOfAssignmentsCompareBeforeTheySet(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]AssignmentStore{
		"file":   newAssignmentsFile(t.TempDir()),
		"memory": &memoryStore{},
	} {
		empty, err := s.Load()
		if err != nil || empty.Rev != 0 || len(empty.Machines) != 0 {
			t.Fatalf("%s: nothing yet: %+v, %v", name, empty, err)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
		want := map[bootmenu.MAC]MachineAssignments{
			testMAC(1): {Once: Given{bootmenu.Assignment{ID: 1, Profile: "a"}, at, at.Add(time.Hour)}, Pinned: Given{bootmenu.Assignment{ID: 2, Profile: "b"}, at, time.Time{}}},
			testMAC(2): {Done: Given{bootmenu.Assignment{ID: 3, Profile: "c"}, at, at.Add(time.Minute)}},
		}
		if err := s.CompareAndSet(empty, want); err != nil {
			t.Fatal(err)
		}
		if err := s.CompareAndSet(empty, nil); !errors.Is(err, ErrStale) {
			t.Errorf("%s: a change of something old: %v, want ErrStale", name, err)
		}
		now, err := s.Load()
		if err != nil || now.Rev != 1 || !maps.Equal(now.Machines, want) {
			t.Errorf("%s: got %+v, %v", name, now, err)
		}
	}
}

func TestTheAssignmentsFileIsWrittenInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, _ := newAssignments(t, newAssignmentsFile(dir))
	a.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	for _, err := range []error{a.pin(testMAC(2), "b"), a.once(testMAC(1), "a", time.Hour)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "assignments.json"))
	want := `{"format":1,"rev":2,"machines":[` +
		`{"mac":"02:00:00:00:00:01","once":{"id":2,"profile":"a","since":"2026-01-02T03:04:05Z","until":"2026-01-02T04:04:05Z"}},` +
		`{"mac":"02:00:00:00:00:02","pinned":{"id":1,"profile":"b","since":"2026-01-02T03:04:05Z"}}]}` + "\n"
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAOnceAssignmentIsConsumedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, ends := newAssignments(t, &memoryStore{})
		ctx, cancel := context.WithCancel(t.Context())
		go a.run(ctx)
		mac := testMAC(1)
		if err := errors.Join(a.pin(mac, "usual"), a.once(mac, "installer", time.Hour)); err != nil {
			t.Fatal(err)
		}
		once := a.of(mac).Once
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { a.deliver(mac, once.ID) })
		}
		wg.Wait()
		if got := a.of(mac); got.Once.ID != 0 || got.Pinned.Profile != "usual" || got.Done.Profile != "installer" {
			t.Errorf("right after: %+v", got)
		}
		synctest.Wait()
		if got := ends.all(); len(got) != 1 || got[0].mac != mac || got[0].Assignment != once || got[0].by != EndDelivered {
			t.Errorf("ends %+v", got)
		}
		// What the same boot delivers later is about an assignment of the past.
		if err := a.once(mac, "installer", time.Hour); err != nil {
			t.Fatal(err)
		}
		a.deliver(mac, once.ID)
		synctest.Wait()
		if got := a.of(mac).Once; got.ID == 0 || got.ID == once.ID {
			t.Errorf("the new assignment is %+v", got)
		}
		cancel()
		synctest.Wait()
	})
}

func TestAnAssignmentHasItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, ends := newAssignments(t, &memoryStore{})
		ctx, cancel := context.WithCancel(t.Context())
		go a.run(ctx)
		if err := errors.Join(a.once(testMAC(1), "p", time.Hour), a.once(testMAC(2), "q", 2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if was, err := a.finish(testMAC(2)); err != nil || was.Profile != "q" {
			t.Errorf("finished %+v, %v", was, err)
		}
		if was, err := a.finish(testMAC(2)); err != nil || was.ID != 0 {
			t.Errorf("finished twice: %+v, %v", was, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := ends.all(); len(got) != 2 || got[0].by != EndCommand || got[1].by != EndExpired || got[1].Profile != "p" {
			t.Errorf("ends %+v", got)
		}
		if got := a.of(testMAC(2)).Done.Profile; got != "q" {
			t.Errorf("done with %q", got)
		}
		time.Sleep(doneAge)
		synctest.Wait()
		if got := a.all(); len(got) != 0 {
			t.Errorf("left: %+v", got)
		}
		cancel()
		synctest.Wait()
	})
}

func TestWhatCannotBeWrittenIsTriedAgainAndIsNotOfferedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		a, ends := newAssignments(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		go a.run(ctx)
		if err := a.once(testMAC(1), "p", time.Hour); err != nil {
			t.Fatal(err)
		}
		store.failWith(errors.New("no space left"))
		a.deliver(testMAC(1), a.of(testMAC(1)).Once.ID)
		synctest.Wait()
		if a.of(testMAC(1)).Once.ID != 0 || a.get(testMAC(1)).Once.ID == 0 || len(ends.all()) != 0 || ends.failed == 0 {
			t.Errorf("decides %+v, on disk %+v, told %+v, %d failures", a.of(testMAC(1)), a.get(testMAC(1)), ends.all(), ends.failed)
		}
		if err := a.pin(testMAC(2), "p"); err == nil {
			t.Error("an assignment that is not on disk is no error")
		}
		if a.of(testMAC(2)).Pinned.ID != 0 {
			t.Error("an assignment that is not on disk decides")
		}
		store.failWith(nil)
		time.Sleep(retryConsumed)
		synctest.Wait()
		if a.get(testMAC(1)).Once.ID != 0 || len(ends.all()) != 1 {
			t.Errorf("on disk %+v, told %+v", a.get(testMAC(1)), ends.all())
		}
		cancel()
		synctest.Wait()
	})
}

func TestWhatIsDeliveredLastIsWrittenDown(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	a, ends := newAssignments(t, store)
	if err := a.once(testMAC(1), "p", time.Hour); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.deliver(testMAC(1), a.of(testMAC(1)).Once.ID)
	a.run(ctx)
	if len(ends.all()) != 1 || store.kept.Machines[testMAC(1)].Once.ID != 0 {
		t.Errorf("told %+v, kept %+v", ends.all(), store.kept)
	}
}

func TestAssignmentsHaveABound(t *testing.T) {
	t.Parallel()
	store := &memoryStore{kept: Assigned{1, make(map[bootmenu.MAC]MachineAssignments)}}
	for i := range maxAssigned {
		mac := bootmenu.MACFromBytes([]byte{2, 0, 0, 1, byte(i >> 8), byte(i)})
		store.kept.Machines[mac] = MachineAssignments{Pinned: Given{Assignment: bootmenu.Assignment{ID: 1, Profile: "p"}}}
	}
	a, _ := newAssignments(t, store)
	if err := a.pin(testMAC(1), "p"); !errors.Is(err, errTooManyAssigned) {
		t.Errorf("one more: %v", err)
	}
	full := bootmenu.MACFromBytes([]byte{2, 0, 0, 1, 0, 0})
	if err := a.pin(full, "q"); err != nil {
		t.Errorf("another one for the same machine: %v", err)
	}
	if _, err := a.clear(full); err != nil {
		t.Error(err)
	}
	if err := a.pin(testMAC(1), "p"); err != nil {
		t.Errorf("into the free place: %v", err)
	}
}

// Changes that come at once are all made, whoever makes them.
func TestAssignmentsLoseNoChange(t *testing.T) {
	t.Parallel()
	store := newAssignmentsFile(t.TempDir())
	var wg sync.WaitGroup
	const n = 10
	for i := range byte(n) {
		a, _ := newAssignments(t, store)
		for range 2 {
			wg.Go(func() {
				if err := a.once(testMAC(i), fmt.Sprint(i), time.Hour); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	kept, err := store.Load()
	if err != nil || len(kept.Machines) != n {
		t.Errorf("%+v, %v", kept, err)
	}
}
