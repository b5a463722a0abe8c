package tftptest

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"netbootd/tftp"
)

// A Depot is a [tftp.Depot] that keeps files in memory. The zero value is ready
// for use, and safe for concurrent use.
type Depot struct {
	Room   int64 // bytes that one file may have; 0 is no bound
	Denied bool  // refuse every file with fs.ErrPermission

	mu      sync.Mutex
	files   map[string][]byte
	aborted int
}

// Create begins a file.
func (d *Depot) Create(_ context.Context, r tftp.OpenRequest, size int64) (tftp.Deposit, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.Denied:
		return nil, fmt.Errorf("create %q: %w", r.Name, fs.ErrPermission)
	case d.files[r.Name] != nil:
		return nil, fmt.Errorf("create %q: %w", r.Name, fs.ErrExist)
	case d.Room > 0 && size > d.Room:
		return nil, tftp.ErrFull
	}
	return &deposit{depot: d, name: r.Name}, nil
}

// File is what was committed under a name; nil if nothing was.
func (d *Depot) File(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[name]
}

// Aborted is how many files were begun and thrown away.
func (d *Depot) Aborted() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.aborted
}

type deposit struct {
	depot *Depot
	name  string
	data  []byte
}

func (x *deposit) Write(p []byte) (int, error) {
	if x.depot.Room > 0 && int64(len(x.data)+len(p)) > x.depot.Room {
		return 0, tftp.ErrFull
	}
	x.data = append(x.data, p...)
	return len(p), nil
}

func (x *deposit) Commit() error {
	x.depot.mu.Lock()
	defer x.depot.mu.Unlock()
	if x.depot.files[x.name] != nil {
		return fs.ErrExist
	}
	if x.depot.files == nil {
		x.depot.files = make(map[string][]byte)
	}
	x.depot.files[x.name] = append([]byte{}, x.data...)
	return nil
}

func (x *deposit) Abort() error {
	x.depot.mu.Lock()
	defer x.depot.mu.Unlock()
	x.depot.aborted++
	return nil
}

func (*deposit) Label() string { return "depot" }
