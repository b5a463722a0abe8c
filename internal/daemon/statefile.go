package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// readState reads a state file into j. A file that is not there yet leaves j as it
// is; one of another format than the known one is an error.
func readState(path string, known int, j any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var header struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &header); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if header.Format != known {
		return fmt.Errorf("%s has format %d, and this version knows only %d", path, header.Format, known)
	}
	if err := json.Unmarshal(b, j); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeState writes j as a state file, so that after a crash it is the old one or the
// new one.
func writeState(path string, j any) error {
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return replaceFile(path, append(b, '\n'))
}

// ErrStale means that somebody else changed what was to be changed.
var ErrStale = errors.New("changed meanwhile")

// A revisedFile is a state file of which each revision has a number, "rev", and
// replaces the one that it was made from and no other. It is safe for concurrent use.
type revisedFile struct {
	path   string
	format int
	mu     sync.Mutex // one change at a time
}

// read is [readState].
func (f *revisedFile) read(j any) error { return readState(f.path, f.format, j) }

// replace writes j, which has the number after old, and returns [ErrStale] if the
// file is of another revision than old by now.
func (f *revisedFile) replace(old int64, j any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var now struct {
		Rev int64 `json:"rev"`
	}
	if err := f.read(&now); err != nil {
		return err
	}
	if now.Rev != old {
		return ErrStale
	}
	return writeState(f.path, j)
}

// replaceFile writes a file so that after a crash it is the old one or the new
// one: a temporary file, synced, renamed, and its directory synced.
func replaceFile(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if _, err = tmp.Write(b); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err = tmp.Sync(); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // the rename is done; only its durability is less certain
	}
	return errors.Join(d.Sync(), d.Close())
}
