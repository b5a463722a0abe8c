package images

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inMounts is set in the process that has mounts of its own.
const inMounts = "NETBOOTD_IMAGES_MOUNTS"

// TestFaultsOfTheDisk runs the tests below in a process with mounts of its own, which
// vanish with it.
func TestFaultsOfTheDisk(t *testing.T) {
	t.Parallel()
	if os.Getenv(inMounts) == "" {
		if os.Getuid() != 0 {
			if os.Getenv("CI") == "true" {
				t.Fatal("mounting takes root")
			}
			t.Skip("mounting takes root")
		}
		cmd := exec.Command(os.Args[0], "-test.run", "^TestFaultsOfTheDisk$", "-test.v")
		cmd.Env = append(os.Environ(), inMounts+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFaultsOfTheDisk/")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	t.Run("full", testFullDisk)
	t.Run("read-only", testReadOnlyMount)
	t.Run("other mount", testOtherFileSystem)
	t.Run("permission", testNoPermission)
}

// mount mounts a small file system.
func mount(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=755"); err != nil {
		t.Fatal(err)
	}
}

// mountedStore makes a store on a file system of its own.
func mountedStore(t *testing.T) *Store {
	t.Helper()
	dir := t.TempDir()
	mount(t, dir)
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s, err := Create(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func testFullDisk(t *testing.T) {
	s := mountedStore(t)
	big := strings.Repeat("x", 8<<20)
	mustPut(t, s, "f", "old")
	mustPut(t, s, "f", "whole")
	if _, err := s.Put(t.Context(), Target{Name: "f"}, strings.NewReader(big)); !errors.Is(err, ErrNoSpace) || !strings.HasPrefix(err.Error(), "f: ") {
		t.Errorf("Put: %v, want ErrNoSpace", err)
	}
	if left := litter(t, s); len(left) > 0 {
		t.Error("left behind:", left)
	}
	if _, err := s.Copy(t.Context(), "f", Target{Name: "g"}); err != nil {
		t.Errorf("what was not stored takes space: %v", err)
	}
	u := begin(t, s, Target{Name: "f"}, int64(len(big)))
	u, err := s.Append(t.Context(), u.ID, 0, strings.NewReader(big))
	if !errors.Is(err, ErrNoSpace) {
		t.Errorf("Append: %v, want ErrNoSpace", err)
	}
	for name, err := range map[string]error{
		"a put into nothing":  second(s.Put(t.Context(), Target{Name: "f"}, strings.NewReader("x"))),
		"a copy into nothing": second(s.Copy(t.Context(), "f", Target{Name: "h"})),
		"another upload":      second(s.NewUpload(t.Context(), Target{Name: "h"}, -1)),
	} {
		if !errors.Is(err, ErrNoSpace) {
			t.Errorf("%s: %v, want ErrNoSpace", name, err)
		}
	}
	if content(s, "f") != "whole" || content(s, "g") != "whole" {
		t.Errorf("other files: %q, %q", content(s, "f"), content(s, "g"))
	}
	again := reopen(t, s) // a full disk is no reason not to start
	if kept, _ := again.Versions("f"); content(again, "f") != "whole" || len(kept) != 1 {
		t.Errorf("after a restart %q, %v", content(again, "f"), kept)
	}
	if err := again.Abort(u.ID); err != nil {
		t.Errorf("room cannot be made: %v", err)
	}
	mustPut(t, again, "f", strings.Repeat("y", 1<<20))
}

func testReadOnlyMount(t *testing.T) {
	s := mountedStore(t)
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", s.dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(s.dir, "f"), "text")
	if err := errors.Join(s.facts.close(), s.lock.Close()); err != nil { // or it is busy
		t.Fatal(err)
	}
	remount(unix.MS_RDONLY)
	for name, err := range map[string]error{
		"put":    second(s.Put(t.Context(), Target{Name: "g"}, strings.NewReader("x"))),
		"copy":   second(s.Copy(t.Context(), "f", Target{Name: "g"})),
		"rename": second(s.Rename(t.Context(), "f", "g", Condition{})),
		"remove": s.Remove("f"),
		"mkdir":  s.Mkdir("d"),
		"upload": second(s.NewUpload(t.Context(), Target{Name: "g"}, -1)),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", name, err)
		}
	}
	if content(s, "f") != "text" {
		t.Error("the file cannot be read")
	}
}

func testOtherFileSystem(t *testing.T) {
	s, dir := newStore(t, map[string]string{"f": "text"})
	mount(t, filepath.Join(dir, "mnt"))
	defer func() { _ = unix.Unmount(filepath.Join(dir, "mnt"), unix.MNT_DETACH) }()
	write(t, filepath.Join(dir, "mnt/f"), "there")
	for name, err := range map[string]error{
		"put":       second(s.Put(t.Context(), Target{Name: "mnt/g"}, strings.NewReader("x"))),
		"replace":   second(s.Put(t.Context(), Target{Name: "mnt/f"}, strings.NewReader("x"))),
		"rename":    second(s.Rename(t.Context(), "f", "mnt/g", Condition{})),
		"the other": second(s.Rename(t.Context(), "mnt/f", "f", Condition{})),
	} {
		if !errors.Is(err, ErrOtherFileSystem) {
			t.Errorf("%s: %v, want ErrOtherFileSystem", name, err)
		}
	}
	if content(s, "f") != "text" || content(s, "mnt/f") != "there" {
		t.Errorf("%q, %q", content(s, "f"), content(s, "mnt/f"))
	}
	if _, err := s.Copy(t.Context(), "mnt/f", Target{Name: "g"}); err != nil || content(s, "g") != "there" {
		t.Errorf("a copy out of it: %q, %v", content(s, "g"), err)
	}
	if err := s.Remove("mnt/f"); err != nil {
		t.Error(err)
	}
	if kept, err := s.Versions("f"); len(kept) > 0 || len(litter(t, s)) > 0 {
		t.Error("left behind:", kept, err, litter(t, s))
	}
}

func testNoPermission(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "images")
	write(t, filepath.Join(dir, "f"), "text")
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil { // that of all temporary directories
		t.Fatal(err)
	}
	var s *Store
	asNobody(t, func() {
		var err error
		if s, err = Create(dir, Options{}); err != nil {
			t.Errorf("no start where only reading is allowed: %v", err)
			return
		}
		for name, err := range map[string]error{
			"put":    second(s.Put(t.Context(), Target{Name: "g"}, io.LimitReader(nil, 0))),
			"remove": s.Remove("f"),
			"append": second(s.Append(t.Context(), "X", 0, nil)),
		} {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v, want fs.ErrPermission", name, err)
			}
		}
		if content(s, "f") != "text" {
			t.Error("the file cannot be read")
		}
	})
	if t.Failed() {
		return
	}
	defer func() { _ = s.Close() }()
	mustPut(t, s, "f", "allowed again")
	asNobody(t, func() {
		if _, err := s.Put(t.Context(), Target{Name: "f"}, strings.NewReader("x")); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("put: %v, want fs.ErrPermission", err)
		}
	})
}

// asNobody runs do with the rights of another user, as far as files go.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := errors.Join(unix.Setfsgid(65534), unix.Setfsuid(65534)); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}
