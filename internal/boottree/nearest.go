package boottree

import (
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"netbootd/internal/spelling"
)

// nearest is the name of a file that name was most likely meant to be, for a machine
// with that root; empty if none is like it. Each element may be written a little
// differently; else the file may lie in another directory.
func (t *Tree) nearest(root, name string) string {
	for _, dir := range slices.Compact([]string{root, ""}) {
		if near, ok := t.nearestIn(dir, name); ok {
			return near
		}
	}
	return t.elsewhere(path.Base(name))
}

// nearestIn goes down from a directory of the images, element by element.
func (t *Tree) nearestIn(dir, name string) (near string, ok bool) {
	for elem := range strings.SplitSeq(name, "/") {
		best := nearestName(elem, t.opts.Images.Names(path.Join(dir, near)))
		if best == "" {
			return "", false
		}
		near = path.Join(near, best)
	}
	return near, true
}

// nearestName is the name most like elem: one that begins with it, or that it begins
// with, else one of which at most a third is written differently. Empty if there is
// none.
func nearestName(elem string, names []string) string {
	const longest = 64 // the distance takes time
	if slices.Contains(names, elem) {
		return elem
	}
	if len(elem) > longest {
		return ""
	}
	best, bestDistance := "", max(1, len(elem)/3)+1
	elem = strings.ToLower(elem)
	for _, n := range names {
		name := strings.ToLower(n)
		distance := bestDistance
		switch {
		case name == elem:
			return n
		case len(elem) > 2 && len(name) > 2 && (strings.HasPrefix(name, elem) || strings.HasPrefix(elem, name)):
			distance = 1
		case len(name) <= longest:
			distance = spelling.Distance(elem, name)
		}
		if distance < bestDistance {
			best, bestDistance = n, distance
		}
	}
	return best
}

const (
	// maxSearched bounds how many directories are looked through for a file.
	maxSearched = 200
	// searchAge is how long it counts what was found then: a thousand profiles with
	// files that are missing are looked at one after the other.
	searchAge = 2 * time.Second
)

// searched is what was found in the images the last time.
type searched struct {
	mu    sync.Mutex        // held while they are looked through
	at    time.Time         // zero: never
	first map[string]string // by its name in lower case, the first file that has it
}

// elsewhere is the first file of that name in the images, whatever its directory.
func (t *Tree) elsewhere(base string) string {
	s := &t.searched
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > searchAge {
		s.first, s.at = t.search(), time.Now()
	}
	return s.first[strings.ToLower(base)]
}

// search looks through the images.
func (t *Tree) search() map[string]string {
	first := make(map[string]string)
	dirs := []string{""}
	for i := 0; i < len(dirs) && i < maxSearched; i++ {
		for _, n := range t.opts.Images.Names(dirs[i]) {
			full := path.Join(dirs[i], n)
			f, err := t.opts.Images.Open(full)
			if err != nil {
				dirs = append(dirs, full) // if it is no directory, it has no names
				continue
			}
			_ = f.Close() // it was not read
			if key := strings.ToLower(n); first[key] == "" {
				first[key] = full
			}
		}
	}
	return first
}
