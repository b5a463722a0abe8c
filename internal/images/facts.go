package images

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fact is what the store knows of a file besides its bytes, as long as the kernel
// tells that they are the same.
type fact struct {
	Print  print     `json:"print"`
	SHA256 Sum       `json:"sha256,omitzero"`
	Origin Origin    `json:"origin,omitzero"`
	Stored time.Time `json:"stored,omitzero"`
}

// A print is a [Version] that holds across a restart: the device number is not in
// it, for btrfs and NFS may get another one then.
type print struct {
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // both in nanoseconds since 1970
	CTime int64  `json:"ctime"`
}

func (v Version) print() print {
	return print{Inode: v.ino, Size: v.size, MTime: int64(v.mtime), CTime: int64(v.ctime)}
}

// A factLine is a line of the file: a fact, or without one that it is forgotten.
// The first line has the format instead of a name.
type factLine struct {
	Format int    `json:"format,omitempty"`
	Name   string `json:"name,omitempty"`
	Fact   *fact  `json:"fact,omitempty"`
}

// slack is how many lines more than needed the file may have before it is written
// anew.
const slack = 1000

// facts are those of all files. They live in a file that grows by a line with each
// change, and is replaced by a shorter one, by rename, now and then. It is not
// synced: what a power cut takes of it is reckoned again, and only the origin of
// the last files is lost.
type facts struct {
	store *Store

	mu    sync.Mutex // guards what follows, and the file
	known map[string]fact
	log   *os.File // nil: nothing is written
	lines int
	bad   bool // the file lacks something and must be written anew
}

// of is what is known of a file that has this version now.
func (k *facts) of(name string, v Version) (fact, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := k.known[name]
	return f, ok && f.Print == v.print()
}

// note remembers a fact. A disk that is full makes it forget it at the restart, and
// nothing worse.
func (k *facts) note(name string, f fact) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[name] = f
	k.append(factLine{Name: name, Fact: &f})
}

// forget drops what is known of a name and of those below it.
func (k *facts) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.below(name) {
		delete(k.known, n)
		k.append(factLine{Name: n})
	}
}

// move gives what is known below a directory to its new name. The files in it are
// the same to the kernel.
func (k *facts) move(from, to string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.below(from) {
		f := k.known[n]
		moved := to + strings.TrimPrefix(n, from)
		delete(k.known, n)
		k.known[moved] = f
		k.append(factLine{Name: n})
		k.append(factLine{Name: moved, Fact: &f})
	}
}

// below are the names that are known and are this one, or lie below it.
func (k *facts) below(name string) (names []string) {
	for n := range k.known {
		if n == name || strings.HasPrefix(n, name+"/") {
			names = append(names, n)
		}
	}
	return names
}

// append writes a line. It holds k.mu.
func (k *facts) append(l factLine) {
	if k.log == nil {
		return
	}
	k.lines++
	if k.bad || k.lines > 2*len(k.known)+slack {
		k.bad = k.rewrite() != nil
		return
	}
	b, err := json.Marshal(l)
	if err == nil {
		_, err = k.log.Write(append(b, '\n'))
	}
	k.bad = err != nil
}

// load reads the file, up to a line that a crash has cut, and writes it anew
// without what is no longer true.
func (k *facts) load() error {
	b, err := k.store.root.ReadFile(factsName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain(factsName, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(b); err != nil {
		return fmt.Errorf("%s: %w", path.Join(k.store.dir, factsName), err)
	}
	maps.DeleteFunc(k.known, func(name string, f fact) bool {
		info, err := k.store.root.Stat(name)
		return err != nil || versionOf(info).print() != f.Print
	})
	return k.rewrite()
}

// read takes the lines of a file.
func (k *facts) read(b []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return nil // there is no file yet
	}
	if err := checkFormat(lines.Bytes()); err != nil {
		return err
	}
	for lines.Scan() {
		var l factLine
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			return nil
		}
		if l.Fact == nil {
			delete(k.known, l.Name)
			continue
		}
		k.known[l.Name] = *l.Fact
	}
	return nil
}

// rewrite replaces the file by one that has only what is known. It holds k.mu.
func (k *facts) rewrite() error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	err := enc.Encode(factLine{Format: stateFormat})
	for _, name := range slices.Sorted(maps.Keys(k.known)) {
		f := k.known[name]
		err = errors.Join(err, enc.Encode(factLine{Name: name, Fact: &f}))
	}
	if err != nil {
		return err
	}
	s, tmp := k.store, tmpName()
	if err := s.writeSynced(tmp, b.Bytes()); err != nil {
		return errors.Join(explain(factsName, err), s.discard(tmp))
	}
	log, err := s.root.OpenFile(tmp, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return errors.Join(explain(factsName, err), s.discard(tmp))
	}
	if err := s.root.Rename(tmp, factsName); err != nil {
		return errors.Join(explain(factsName, err), log.Close(), s.discard(tmp))
	}
	if k.log != nil {
		_ = k.log.Close() // it is no longer the file
	}
	k.log, k.lines = log, len(k.known)+1
	return nil
}

// close gives the file back.
func (k *facts) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.log == nil {
		return nil
	}
	err := k.log.Close()
	k.log = nil
	return err
}
