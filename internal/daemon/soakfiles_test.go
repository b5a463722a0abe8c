package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// A soakFile is a file that changes while it is served. All its bytes follow from
// its version, so that a mix of two is never taken for one.
type soakFile struct {
	name, path string
	size       int
	how        way
	// rest is how long it stays as it is. It must be longer than a tick of the
	// file system's clock, or a change would not show; see images.Version. After
	// two seconds the server shares what it has read of it.
	rest time.Duration

	// opening is held by clients whose file is about to be opened. A change in
	// place holds it alone: what is opened half way is neither old nor new.
	opening sync.RWMutex

	oldest, newest atomic.Int64 // versions that an open may find, different during a change

	mu      sync.Mutex // guards what follows: one change at a time
	changed time.Time
}

// A way is how a file changes.
type way int

const (
	stays     way = iota
	replaced      // by rename
	rewritten     // in place
	shortened     // in place to half of it, and rewritten
	removed       // and made anew
)

// inPlace tells whether a transfer that is under way may end with "file changed".
func (w way) inPlace() bool { return w == rewritten || w == shortened }

// absent tells whether there is no file at this version.
func (f *soakFile) absent(version int64) bool { return f.how == removed && version%2 == 1 }

// content is all bytes of a version.
func (f *soakFile) content(version int64) []byte {
	if f.how == shortened && version%2 == 1 {
		return f.content(version - 1)[:f.size/2]
	}
	b := make([]byte, f.size)
	seed := [32]byte{byte(version), byte(version >> 8), byte(version >> 16)}
	copy(seed[3:], f.name)
	_, _ = rand.NewChaCha8(seed).Read(b) // it never fails
	return b
}

// change goes on to the next version, unless it is too early for that.
func (f *soakFile) change() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.how == stays || time.Since(f.changed) < f.rest {
		return nil
	}
	version := f.newest.Load() + 1
	if f.how.inPlace() {
		f.opening.Lock()
		defer f.opening.Unlock()
	}
	f.newest.Store(version)
	if err := f.write(version); err != nil {
		return err
	}
	f.oldest.Store(version)
	f.changed = time.Now()
	return nil
}

// write puts a version on disk.
func (f *soakFile) write(version int64) error {
	switch {
	case f.absent(version):
		return os.Remove(f.path)
	case f.how == shortened && version%2 == 1:
		return os.Truncate(f.path, int64(f.size/2))
	case f.how.inPlace():
		file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // a failed write shows as wrong bytes
		_, err = file.WriteAt(f.content(version), 0)
		return err
	}
	if err := os.WriteFile(f.path+".new", f.content(version), 0o644); err != nil {
		return err
	}
	return os.Rename(f.path+".new", f.path)
}

// span are the versions that a transfer may have been opened with.
type span struct{ from, to int64 }

// check tells what is wrong with what a client received: got must be a whole
// version of the span, or the beginning of one where the transfer ended early.
func (f *soakFile) check(got []byte, s span, mode tftp.Mode, whole bool) error {
	if !whole && len(got) == 0 {
		return nil
	}
	for version := s.from; version <= s.to; version++ {
		if f.absent(version) {
			continue
		}
		want := f.content(version)
		if mode == tftp.Netascii {
			want = []byte(strings.NewReplacer("\n", "\r\n", "\r", "\r\x00").Replace(string(want)))
		}
		if bytes.Equal(got, want) || !whole && bytes.HasPrefix(want, got) {
			return nil
		}
	}
	return fmt.Errorf("%s: %d bytes are of none of the versions %d to %d", f.name, len(got), s.from, s.to)
}

// mayFail tells whether an error is a fair end of a transfer. The ERROR that
// tells of a change may be lost in a full queue, and is not sent again.
func (f *soakFile) mayFail(err error, s span) bool {
	changed := f.how.inPlace() && f.newest.Load() > s.from
	if errors.Is(err, tftptest.ErrNoAnswer) {
		return changed
	}
	remote, _ := errors.AsType[*tftp.RemoteError](err)
	switch {
	case remote == nil:
		return false
	case remote.Text == "file changed", remote.Text == "unknown transfer ID":
		return changed
	default:
		return remote.Text == "file not found" && (f.absent(s.from) || f.absent(s.to))
	}
}
