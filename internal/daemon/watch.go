package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"
)

const (
	// quietTime is how long files must be left alone before they are read: editors
	// and copies change several at once, and one in several steps.
	quietTime = 300 * time.Millisecond
	// longestUnquiet is after what time they are read although they are not.
	longestUnquiet = 3 * time.Second
)

// A fileWatch tells of changes to files, and to directories with files in them. It
// watches directories, not files: editors replace a file by another one, and a
// watch would stay with the old. It is safe for concurrent use.
type fileWatch struct {
	watcher *fsnotify.Watcher
	changed chan struct{} // holds one value if something has changed
	settled chan struct{} // is sent a value when changes have come to rest

	mu      sync.Mutex // guards what follows; the kernel is told under it
	sources []string   // absolute, whether they are there or not
}

// openWatch gets ready to watch what the configuration is read from. Where the
// kernel refuses, that is told: a reload can still be asked for.
func (d *Daemon) openWatch(newWatcher func() (*fsnotify.Watcher, error)) {
	watcher, err := newWatcher()
	if err != nil {
		d.tellWatching(err)
		return
	}
	d.sources = &fileWatch{watcher: watcher, changed: make(chan struct{}, 1), settled: make(chan struct{})}
}

// followFiles has changes of files noticed until ctx ends.
func (d *Daemon) followFiles(ctx context.Context, running *errgroup.Group) {
	if d.sources == nil {
		return
	}
	running.Go(func() error { d.sources.run(ctx, d.tellWatching); return nil })
	running.Go(func() error {
		settle(ctx, d.sources.changed, d.sources.settled, quietTime, longestUnquiet)
		return nil
	})
}

// filesChanged is told when configuration files have changed; it is nil if they
// are not watched.
func (d *Daemon) filesChanged() <-chan struct{} {
	if d.sources == nil {
		return nil
	}
	return d.sources.settled
}

// watchSources watches what a plan was read from, and nothing else.
func (d *Daemon) watchSources(p Plan) {
	if d.sources != nil {
		d.tellWatching(d.sources.follow(p.Sources))
	}
}

// tellWatching says whether changes of files are noticed, if that is news.
func (d *Daemon) tellWatching(err error) {
	why := ""
	if errors.Is(err, fsnotify.ErrClosed) {
		return // the daemon is stopping
	}
	if err != nil {
		why = err.Error()
	}
	d.mu.Lock()
	news := d.unwatched != why
	d.unwatched = why
	d.mu.Unlock()
	switch {
	case !news:
	case err == nil:
		d.opts.Logger.Info("changes of the configuration are noticed again")
	default:
		d.opts.Logger.Warn("changes of the configuration are not noticed by themselves", "why", why, "hint", watchHint(err))
	}
}

// watchHint says what to do about files that cannot be watched.
func watchHint(err error) string {
	hint := "after a change run netbootd reload, or send SIGHUP"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl), and restart; until then " + hint
	}
	return hint
}

// follow watches sources from now on, and nothing else. What has changed in others
// than before counts as a change, for it may have done so unwatched.
func (w *fileWatch) follow(sources []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.sources
	w.sources = nil
	for _, s := range sources {
		abs, err := filepath.Abs(s)
		if err != nil {
			return err
		}
		w.sources = append(w.sources, abs)
	}
	if before != nil && !slices.Equal(before, w.sources) {
		w.poke()
	}
	return w.arm()
}

// poke says that something has changed.
func (w *fileWatch) poke() {
	select {
	case w.changed <- struct{}{}:
	default: // one is enough
	}
}

// arm watches each source that is a directory, and the directory that a source is
// in, or will be in when it appears. The caller holds w.mu.
func (w *fileWatch) arm() error {
	var wanted []string
	for _, source := range w.sources {
		// First what tells if the source itself comes or goes.
		parent, err := w.addNearest(filepath.Dir(source))
		if err != nil {
			return err
		}
		wanted = append(wanted, parent)
		if info, err := os.Stat(source); err == nil && info.IsDir() {
			wanted = append(wanted, source)
		}
	}
	for _, dir := range w.watcher.WatchList() {
		if !slices.Contains(wanted, dir) {
			_ = w.watcher.Remove(dir) // it may be gone by itself
		}
	}
	for _, dir := range wanted {
		// One that has vanished since is told of by its parent.
		if err := w.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	return nil
}

// addNearest watches dir or, if that is not there, the nearest directory above it.
func (w *fileWatch) addNearest(dir string) (watched string, err error) {
	for {
		watched = nearest(dir)
		err = w.watcher.Add(watched)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("watch %s: %w", watched, err)
		case err == nil && nearest(dir) == watched: // nothing has changed meanwhile
			return watched, nil
		}
	}
}

// nearest is dir, or the first directory above it that is there.
func nearest(dir string) string {
	for {
		info, err := os.Stat(dir)
		if err == nil && info.IsDir() || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// run looks at events until ctx ends. told is given what became of watching after
// directories have come or gone.
func (w *fileWatch) run(ctx context.Context, told func(error)) {
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.watcher.Events:
			within, above := w.concerns(e.Name)
			if above {
				told(w.rearm(e.Name))
			}
			if !within && !above {
				continue
			}
		case <-w.watcher.Errors: // events were lost
			told(w.rearm(""))
		}
		w.poke()
	}
}

func (w *fileWatch) close() { _ = w.watcher.Close() } // nothing is lost by it

// rearm watches anew after path has come or gone: a directory of that name may be
// another one than before.
func (w *fileWatch) rearm(path string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.watcher.WatchList(), path) {
		_ = w.watcher.Remove(path) // it may be gone by itself
	}
	return w.arm()
}

// concerns tells whether a path is a file in one of the sources, and whether it is
// a source or above one.
func (w *fileWatch) concerns(path string) (within, above bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, source := range w.sources {
		if source == path || strings.HasPrefix(source, strings.TrimSuffix(path, "/")+"/") {
			above = true
		}
		if filepath.Dir(path) == source && isConfiguration(filepath.Base(path)) {
			within = true
		}
	}
	return within, above
}

// isConfiguration tells the files that are read from those that editors keep for
// themselves. Kubernetes changes the files of a directory by a link of that one
// name.
func isConfiguration(name string) bool {
	if name == "..data" {
		return true
	}
	return strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#")
}

// settle passes changes on once they have come to rest for the time of quiet, or
// have gone on for longest, until ctx ends.
func settle(ctx context.Context, changes <-chan struct{}, settled chan<- struct{}, quiet, longest time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
		awaitRest(ctx, changes, quiet, longest)
		select {
		case <-ctx.Done():
			return
		case settled <- struct{}{}:
		}
	}
}

// awaitRest returns when there were no changes for the time of quiet, after longest
// at the latest.
func awaitRest(ctx context.Context, changes <-chan struct{}, quiet, longest time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	rest := time.NewTimer(quiet)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
			return
		case <-changes:
			rest.Reset(quiet)
		}
	}
}
