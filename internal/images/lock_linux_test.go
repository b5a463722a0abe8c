package images

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A program that is being started shares, for a moment, the files that are open here.
// It must not keep the lock of a store that is closed meanwhile.
func TestClosedStoreIsFreeForTheNext(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	shared, err := unix.Dup(int(s.lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(shared) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := Create(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Close() }()
	if err := next.Writable(); err != nil {
		t.Error(err)
	}
}
