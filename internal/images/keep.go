package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A versionRecord tells of a file that was replaced, or is about to be. It is
// written before anything moves, so that a crash can be told from what lies where:
//
//  1. The record is written.
//  2. The newcomer moves to Temp.
//  3. The newcomer and the file exchange their places, in one step of the kernel:
//     at no moment is there no file of the name.
//  4. The file, which is at Temp now, moves to the versions.
//
// After a crash the file at Temp is the newcomer, and goes Home, or it is what was
// replaced, and step 4 is made up for. No hard link is made at any time: a file that
// is written to in place would change under both names.
type versionRecord struct {
	Format   int       `json:"format"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	SHA256   Sum       `json:"sha256,omitzero"`
	Origin   Origin    `json:"origin,omitzero"`
	Stored   time.Time `json:"stored,omitzero"`
	Replaced time.Time `json:"replaced"`

	Temp     string `json:"temp"`
	Incoming uint64 `json:"incoming"`       // the newcomer's inode
	Home     string `json:"home,omitempty"` // where the newcomer belongs; "": nowhere
}

// replaced is the version that a record tells of.
func (r versionRecord) replaced(id string) Replaced {
	return Replaced{ID: id, Replaced: r.Replaced, Info: Info{
		Name: r.Name, Size: r.Size, Modified: r.Modified, SHA256: r.SHA256, Origin: r.Origin, Stored: r.Stored,
	}}
}

// keep lets a newcomer take the place of a file, which becomes a version. It holds
// s.change.
func (s *Store) keep(ctx context.Context, n newcomer, name string, old fs.FileInfo) error {
	incoming, err := s.root.Lstat(n.at)
	if err != nil {
		return explain(name, err)
	}
	record := versionRecord{
		Format: stateFormat, Name: name, Size: old.Size(), Modified: old.ModTime(), Replaced: time.Now(),
		Temp: tmpName(), Incoming: versionOf(incoming).ino, Home: n.home,
	}
	if f, ok := s.facts.of(name, versionOf(old)); ok {
		record.SHA256, record.Origin, record.Stored = f.SHA256, f.Origin, f.Stored
	}
	r := record.replaced(s.newVersionID())
	if err := s.writeRecord(r.path()+recordSuffix, record); err != nil {
		return explain(name, err)
	}
	err = s.swap(n.at, record.Temp, name)
	copied := errors.Is(err, errors.ErrUnsupported)
	if copied {
		err = s.keepCopy(ctx, n.at, name, r.path())
	}
	if err != nil {
		return errors.Join(explain(name, err), s.discard(r.path()+recordSuffix))
	}
	if !copied {
		err = s.root.Rename(record.Temp, r.path())
	}
	if err != nil {
		return explain(name, err) // the name has its newcomer; the next start does the rest
	}
	s.addVersion(r)
	return errors.Join(s.syncDir(path.Dir(name)), s.syncDir(versionsDir))
}

// swap moves a newcomer to temp, and exchanges it with the file of the name. If that
// fails the newcomer is where it was.
func (s *Store) swap(at, temp, name string) error {
	if err := s.root.Rename(at, temp); err != nil {
		return err
	}
	if err := exchange(s.root, temp, name); err != nil {
		return errors.Join(err, s.root.Rename(temp, at))
	}
	return nil
}

// keepCopy is the way of file systems that cannot exchange two files: the version is
// a copy, made before the file is replaced.
func (s *Store) keepCopy(ctx context.Context, at, name, version string) error {
	f, err := s.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	tmp := tmpName()
	if _, err := s.duplicate(ctx, f, tmp, name); err != nil {
		return errors.Join(err, s.discard(tmp))
	}
	if err := s.root.Rename(tmp, version); err != nil {
		return errors.Join(err, s.discard(tmp))
	}
	if err := s.root.Rename(at, name); err != nil {
		return errors.Join(err, s.discard(version))
	}
	return nil
}

// newVersionID is one more than the last.
func (s *Store) newVersionID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	return strconv.Itoa(s.lastID)
}

// addVersion puts a version into the list of its name.
func (s *Store) addVersion(r Replaced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[r.Name] = append(s.versions[r.Name], r)
	slices.SortFunc(s.versions[r.Name], func(a, b Replaced) int { return a.number() - b.number() })
	s.lastID = max(s.lastID, r.number())
}

// loadVersions reads the records, and finishes or takes back what a crash cut.
func (s *Store) loadVersions() error {
	names, err := s.names(versionsDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		id, isRecord := strings.CutSuffix(n, recordSuffix)
		if !isRecord && !slices.Contains(names, n+recordSuffix) {
			if err := s.discard(path.Join(versionsDir, n)); err != nil {
				return err
			}
		}
		if !isRecord {
			continue
		}
		if err := s.loadVersion(id); err != nil {
			return err
		}
	}
	return s.syncDir(versionsDir)
}

// loadVersion reads one record.
func (s *Store) loadVersion(id string) error {
	if _, err := strconv.Atoi(id); err != nil {
		return fmt.Errorf("%s: not a record of the store", path.Join(s.dir, versionsDir, id+recordSuffix))
	}
	var record versionRecord
	r := Replaced{ID: id}
	if err := s.readRecord(r.path()+recordSuffix, &record); err != nil {
		return err
	}
	r = record.replaced(id)
	whole, err := s.settleVersion(r, record)
	if err != nil {
		return err
	}
	if !whole {
		return s.discard(r.path() + recordSuffix)
	}
	s.addVersion(r)
	return nil
}

// settleVersion brings each file of a change that a crash cut to where it belongs,
// and tells whether there is a version of it.
func (s *Store) settleVersion(r Replaced, record versionRecord) (whole bool, err error) {
	if _, err := s.root.Lstat(r.path()); err == nil {
		return true, nil
	}
	atTemp, err := s.root.Lstat(record.Temp)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, explain(record.Temp, err)
	case versionOf(atTemp).ino != record.Incoming:
		return true, explain(record.Name, s.root.Rename(record.Temp, r.path()))
	case record.Home == "":
		return false, nil
	}
	return false, explain(record.Home, s.moveNew(record.Temp, record.Home))
}
