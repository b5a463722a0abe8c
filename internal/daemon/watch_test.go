package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"netbootd/bootmenu"
	"netbootd/client"
)

func TestChangesSettleBeforeTheyArePassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changes, settled := make(chan struct{}, 1), make(chan struct{})
		began := time.Now()
		go settle(ctx, changes, settled, quietTime, longestUnquiet)
		changes <- struct{}{}
		time.Sleep(quietTime / 2)
		changes <- struct{}{}
		<-settled
		if got, want := time.Since(began), quietTime*3/2; got != want {
			t.Errorf("passed on after %v, want %v", got, want)
		}
		began = time.Now()
		writing, stop := context.WithCancel(ctx)
		go func() { // somebody who never stops
			for writing.Err() == nil {
				select {
				case changes <- struct{}{}:
				default:
				}
				time.Sleep(quietTime / 2)
			}
		}()
		<-settled
		if got := time.Since(began); got != longestUnquiet {
			t.Errorf("passed on after %v, want %v", got, longestUnquiet)
		}
		stop()
		cancel()
		time.Sleep(quietTime) // for somebody to see that
		synctest.Wait()
	})
}

// A watched is a daemon whose profiles are the names of files in a directory.
type watched struct {
	*fixture
	profiles string
	settings string
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{fixture: newFixture(t)}
	w.profiles, w.settings = filepath.Join(w.dir, "etc", "netbootd", "profiles.d"), filepath.Join(w.dir, "etc", "netbootd", "netbootd.toml")
	w.opts.Load = w.load
	if err := os.MkdirAll(w.profiles, 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// load makes a profile of each file, with what is in the file as its title.
func (w *watched) load() (Settings, Plan, error) {
	plan := Plan{Sources: []string{w.settings, w.profiles}}
	if b, err := os.ReadFile(w.settings); err == nil && string(b) == "broken" {
		return w.opts.Settings, plan, errors.New("netbootd.toml:1:1: broken")
	}
	files, err := filepath.Glob(filepath.Join(w.profiles, "*.toml"))
	if err != nil {
		return w.opts.Settings, plan, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return w.opts.Settings, plan, err
		}
		p := board(strings.TrimSuffix(filepath.Base(file), ".toml"))
		p.Title = string(b)
		plan.Profiles = append(plan.Profiles, p)
	}
	return w.opts.Settings, plan, nil
}

// expect waits until there are exactly these profiles, by name and title. Each
// look follows a reload, which the log tells of.
func (w *watched) expect(want string) {
	w.t.Helper()
	for since := w.log.count(); ; {
		var got []string
		s := w.status()
		for _, p := range s.Profiles {
			got = append(got, p.Name+"="+p.Title)
		}
		if !s.LastReload.OK {
			got = append(got, "broken")
		}
		if strings.Join(got, " ") == want {
			return
		}
		w.log.wait(w.t, since, "reload")
		since = w.log.count()
	}
}

func (w *watched) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) put(name, text string) {
	w.t.Helper()
	putFile(w.t, w.profiles, name, text)
}

func TestChangesOfFilesAreNoticed(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.start()
	w.put("a.toml", "1")
	w.expect("a=1")
	// An editor that keeps the old file, and writes a new one.
	w.do(os.Rename(filepath.Join(w.profiles, "a.toml"), filepath.Join(w.profiles, "a.toml~")))
	w.put("a.toml", "2")
	w.expect("a=2")
	// One that writes beside the file, and renames.
	w.put(".a.toml.new", "3")
	w.do(os.Rename(filepath.Join(w.profiles, ".a.toml.new"), filepath.Join(w.profiles, "a.toml")))
	w.expect("a=3")
	w.put("b.toml", "4")
	w.expect("a=3 b=4")
	w.do(os.Remove(filepath.Join(w.profiles, "a.toml")))
	w.expect("b=4")
	// netbootd.toml, which was not there at first.
	w.do(os.WriteFile(w.settings, []byte("broken"), 0o644))
	w.expect("b=4 broken")
	w.do(os.Remove(w.settings))
	w.expect("b=4")
}

func TestDirectoriesThatComeAndGoAreNoticed(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.put("a.toml", "1")
	w.start()
	w.do(os.RemoveAll(w.profiles))
	w.expect("")
	w.do(os.Mkdir(w.profiles, 0o755))
	w.put("a.toml", "2")
	w.expect("a=2")
	// Another directory takes the place of the old one, and is watched then.
	w.do(os.Mkdir(w.profiles+".new", 0o755))
	putFile(t, w.profiles+".new", "b.toml", "3")
	w.do(os.Rename(w.profiles, w.profiles+".old"))
	w.do(os.Rename(w.profiles+".new", w.profiles))
	w.expect("b=3")
	w.put("b.toml", "4")
	w.expect("b=4")
	// The same one level up, and two.
	above := filepath.Dir(w.profiles)
	w.do(os.RemoveAll(filepath.Dir(above)))
	w.expect("")
	w.do(os.MkdirAll(w.profiles, 0o755))
	w.put("c.toml", "5")
	w.expect("c=5")
	w.put("c.toml", "6")
	w.expect("c=6")
	w.do(os.Rename(above, above+".old"))
	w.expect("")
	w.do(os.Rename(above+".old", above))
	w.expect("c=6")
	w.put("c.toml", "7")
	w.expect("c=7")
}

// The files of a Kubernetes ConfigMap are links through a link that is replaced.
func TestALinkThatIsReplacedIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	for name, text := range map[string]string{"..1": "one", "..2": "two"} {
		w.do(os.Mkdir(filepath.Join(w.profiles, name), 0o755))
		putFile(t, filepath.Join(w.profiles, name), "a.toml", text)
	}
	w.do(os.Symlink("..1", filepath.Join(w.profiles, "..data")))
	w.do(os.Symlink("..data/a.toml", filepath.Join(w.profiles, "a.toml")))
	w.start()
	w.expect("a=one")
	w.do(os.Symlink("..2", filepath.Join(w.profiles, "..tmp")))
	w.do(os.Rename(filepath.Join(w.profiles, "..tmp"), filepath.Join(w.profiles, "..data")))
	w.expect("a=two")
}

func TestOnlyConfigurationIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.toml": true, "..data": true,
		".a.toml.swp": false, "a.toml~": false, "4913": false, ".#a.toml": false, "#a.toml#": false, ".a.toml": false, "a.toml.new": false, "README": false,
	} {
		if got := isConfiguration(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestReloadTellsWhatCameOfIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.start()
	f.mu.Lock()
	f.plan = Plan{Profiles: []*bootmenu.Profile{board("a"), board("b")}, Broken: map[string][]string{"c": {"c.toml:1:1: wrong"}}}
	f.mu.Unlock()
	r, err := f.client.Reload(t.Context())
	if err != nil || r.OK || r.Rev != 2 || len(r.Problems) != 1 || r.Problems[0] != "c.toml:1:1: wrong" {
		t.Errorf("got %+v, %v", r, err)
	}
	s := f.status()
	if s.LastReload.Rev != 2 || stateOf(t, s, "b").State != client.ProfileStarted {
		t.Errorf("status %+v", s)
	}
	f.mu.Lock()
	f.opts.Settings.Images = "elsewhere"
	f.plan = Plan{}
	f.mu.Unlock()
	if r, err = f.client.Reload(t.Context()); err != nil || !r.OK || r.Rev != 3 || len(r.Notes) != 1 || r.Notes[0] != needsRestart {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Where the kernel has no watches left, that is told, and what to do about it.
func TestWhatCannotBeWatchedIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d, err := newDaemon(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.openWatch(func() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE })
	line := f.log.wait(t, 0, "not noticed by themselves")
	if s := d.Status(); s.Unwatched == "" || !strings.Contains(line, "fs.inotify.max_user_instances") || !strings.Contains(line, "netbootd reload") {
		t.Errorf("unwatched %q, line %s", s.Unwatched, line)
	}
	d.tellWatching(nil)
	f.log.wait(t, 0, "are noticed again")
}
