package images

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// The store's own directory, on the file system of the images, so that a rename
// leads out of it. It is never listed or served.
const (
	privateDir  = ".netbootd"
	tmpDir      = privateDir + "/tmp"      // files that are not whole; emptied at the start
	uploadsDir  = privateDir + "/uploads"  // ID has the bytes, ID.json an uploadRecord
	versionsDir = privateDir + "/versions" // N has the bytes, N.json a versionRecord
	factsName   = privateDir + "/facts"
	lockName    = privateDir + "/lock"

	recordSuffix = ".json"
)

// stateFormat is that of all files which the store writes for itself.
const stateFormat = 1

// tmpName is a new name for a file that is not whole yet.
func tmpName() string { return tmpDir + "/" + rand.Text() }

// prepare makes the store ready for writing, once: it takes the lock, finishes what
// a crash cut, and reads what there is.
func (s *Store) prepare() error {
	s.setup.Lock()
	defer s.setup.Unlock()
	if s.readOnly {
		return ErrReadOnly
	}
	if s.lock != nil {
		return nil
	}
	s.private = nil
	for _, dir := range []string{privateDir, tmpDir, uploadsDir, versionsDir} {
		if err := s.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return explain(dir, err)
		}
		info, err := s.root.Lstat(dir)
		if err != nil {
			return explain(dir, err)
		}
		s.private = append(s.private, info)
	}
	f, err := s.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return explain(lockName, err)
	}
	err = lock(f)
	if err == nil {
		err = s.recover()
	}
	if err != nil {
		return errors.Join(err, unlock(f))
	}
	s.lock = f
	return nil
}

// recover reads the records, and leaves nothing of what a crash cut. The versions
// come first: they may need what lies in tmp.
func (s *Store) recover() error {
	s.mu.Lock()
	clear(s.versions) // of an attempt that came to nothing
	clear(s.uploads)
	s.mu.Unlock()
	for _, step := range []func() error{s.loadVersions, s.loadUploads, s.emptyTmp, s.facts.load} {
		if err := step(); err != nil {
			return err
		}
	}
	for _, name := range s.versionedNames() {
		s.prune(name, Sum{}) // the limits may be lower than they were
	}
	return nil
}

// emptyTmp removes the files that are not whole.
func (s *Store) emptyTmp() error {
	names, err := s.names(tmpDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := s.root.RemoveAll(path.Join(tmpDir, n)); err != nil {
			return explain(tmpDir, err)
		}
	}
	return nil
}

// removeHalves removes the records of a directory that have no bytes beside them,
// and the bytes that have no record.
func (s *Store) removeHalves(dir string) error {
	names, err := s.names(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		id := strings.TrimSuffix(n, recordSuffix)
		if slices.Contains(names, id) && slices.Contains(names, id+recordSuffix) {
			continue
		}
		if err := s.discard(path.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// names are those of a directory, sorted.
func (s *Store) names(dir string) ([]string, error) {
	d, err := s.root.Open(dir)
	if err != nil {
		return nil, explain(dir, err)
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, explain(dir, err)
}

// outsidePrivate makes sure that no link leads the directory of a name into the
// store's own, where a change would break what the store relies on.
func (s *Store) outsidePrivate(name string) error {
	info, err := s.root.Stat(path.Dir(name))
	if err != nil {
		return explain(name, err)
	}
	if slices.ContainsFunc(s.private, func(p fs.FileInfo) bool { return os.SameFile(p, info) }) {
		return fmt.Errorf("%s: a link leads into %s, which is the store's own: %w", name, privateDir, ErrName)
	}
	return nil
}

// writeRecord writes a state file, so that after a crash it is the old one or the
// new one.
func (s *Store) writeRecord(name string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	tmp := tmpName()
	if err := s.writeSynced(tmp, b); err != nil {
		return errors.Join(explain(name, err), s.discard(tmp))
	}
	if err := s.root.Rename(tmp, name); err != nil {
		return errors.Join(explain(name, err), s.discard(tmp))
	}
	return s.syncDir(path.Dir(name))
}

// writeSynced writes a file and waits until it is on the disk.
func (s *Store) writeSynced(name string, b []byte) error {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readRecord reads a state file; one of another format is an error.
func (s *Store) readRecord(name string, record any) error {
	b, err := s.root.ReadFile(name)
	if err != nil {
		return explain(name, err)
	}
	if err := checkFormat(b); err != nil {
		return fmt.Errorf("%s: %w", path.Join(s.dir, name), err)
	}
	if err := json.Unmarshal(b, record); err != nil {
		return fmt.Errorf("%s: %w", path.Join(s.dir, name), err)
	}
	return nil
}

// checkFormat looks at the format that a record says to have.
func checkFormat(record []byte) error {
	var header struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(record, &header); err != nil {
		return err
	}
	if header.Format != stateFormat {
		return fmt.Errorf("has format %d, and this version knows only %d", header.Format, stateFormat)
	}
	return nil
}

// syncDir makes renames in a directory last.
func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return explain(dir, err)
	}
	return errors.Join(explain(dir, d.Sync()), d.Close())
}

// discard removes a file of the store's own, if it is there.
func (s *Store) discard(name string) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain(name, err)
	}
	return nil
}
