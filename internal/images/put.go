package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Condition is what must stand under a name for a change to be made. The zero
// value demands nothing.
type Condition struct {
	Absent bool `json:"absent,omitempty"` // nothing stands there
	SHA256 Sum  `json:"sha256,omitzero"`  // a file stands there that has this sum
}

// A Target is where content goes to.
type Target struct {
	Name   string    `json:"name"`            // missing directories are made
	Origin Origin    `json:"origin,omitzero"` // who sends it
	SHA256 Sum       `json:"sha256,omitzero"` // what the content must have; zero: anything
	If     Condition `json:"if,omitzero"`
	// Key says which content it is, in the sender's words. The store only keeps it
	// with an upload, for a sender that wants to go on with it.
	Key string `json:"key,omitempty"`
}

// clean is the target with the name that the store uses.
func (t Target) clean() (Target, error) {
	name, err := cleanFile(t.Name)
	t.Name = name
	return t, err
}

// Put stores what r has, up to its end. The file is whole before it has its name:
// readers, and a crash, meet the old content or the new. What it replaces is kept
// as a version, unless its content is the same: then the file stays, and only its
// origin is new. On an error nothing has changed, unless the disk itself fails.
//
// It waits for the disk until the file would survive a power cut. It takes constant
// memory. It ends when ctx does, but cannot interrupt r.
//
// Errors: [ErrName], [ErrIsDirectory], [ErrNotDirectory], [ErrNotRegular] for a
// name that is a symbolic link, [ErrLinkOutside], [ErrConflict], [ErrSum],
// [ErrNoSpace], [ErrReadOnly], [ErrOtherFileSystem], fs.ErrPermission, and those of r.
func (s *Store) Put(ctx context.Context, t Target, r io.Reader) (Info, error) {
	t, err := t.clean()
	if err != nil {
		return Info{}, err
	}
	if err := s.mayPlace(ctx, t); err != nil {
		return Info{}, err
	}
	return s.fill(ctx, t, func(tmp string) (Sum, error) { return s.receive(ctx, tmp, t, r) })
}

// fill places a new file that write gives its content, under a name for the time
// being. Nothing is left of one that cannot be written or placed.
func (s *Store) fill(ctx context.Context, t Target, write func(tmp string) (Sum, error)) (Info, error) {
	tmp := tmpName()
	sum, err := write(tmp)
	if err == nil {
		n := newcomer{at: tmp, fact: fact{SHA256: sum, Origin: t.Origin, Stored: time.Now()}}
		err = s.place(ctx, n, t.Name, t.If)
	}
	if err != nil {
		return Info{}, errors.Join(err, s.discard(tmp))
	}
	return s.Stat(t.Name)
}

// mayPlace looks whether the target could be placed now, before its content is
// taken: [Store.place] looks again.
func (s *Store) mayPlace(ctx context.Context, t Target) error {
	if err := s.prepare(); err != nil {
		return explain(t.Name, err)
	}
	if _, err := s.replaceable(t.Name); err != nil {
		return err
	}
	_, err := s.holds(ctx, t.Name, t.If)
	return err
}

// receive writes what r has into a file, syncs it, and looks at its sum.
func (s *Store) receive(ctx context.Context, tmp string, t Target, r io.Reader) (Sum, error) {
	in, err := s.newIntake(tmp, t.Name)
	if err != nil {
		return Sum{}, err
	}
	if err := in.finish(in.take(ctx, r)); err != nil {
		return Sum{}, err
	}
	return in.sum(), t.checkSum(in.sum())
}

// checkSum compares the sum of what came with what was announced.
func (t Target) checkSum(got Sum) error {
	if t.SHA256.IsZero() || t.SHA256 == got {
		return nil
	}
	return fmt.Errorf("%s: got content with sha256 %s, want %s: %w", t.Name, got, t.SHA256, ErrSum)
}
