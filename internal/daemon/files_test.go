package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/client"
)

// noise is n bytes that no two calls with other seeds have in common.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // it never fails
	return b
}

func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// put stores b, or ends the test.
func (f *fixture) put(name string, b []byte) client.FileInfo {
	f.t.Helper()
	i, err := f.client.Put(f.t.Context(), client.UploadRequest{Name: name, Size: int64(len(b))}, bytes.NewReader(b))
	if err != nil {
		f.t.Fatal(err)
	}
	return i
}

// cat is what the daemon has under a name.
func (f *fixture) cat(name string) string {
	f.t.Helper()
	file, err := f.client.Open(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(file)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func TestFilesAreStoredAndReadThroughTheAPI(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	ctx, want := t.Context(), noise(1, 3<<20)
	i := f.put("boards/bbb/MLO", want)
	if i.SHA256 != hexSum(want) || i.Size != int64(len(want)) || !strings.HasPrefix(i.By, "user ") {
		t.Errorf("stored %+v", i)
	}
	if got := f.cat("boards/bbb/MLO"); got != string(want) {
		t.Errorf("%d bytes came back, want the %d", len(got), len(want))
	}
	list, err := f.client.ListAll(ctx, ".")
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	if diff := cmp.Diff([]string{"boards", "boards/bbb", "boards/bbb/MLO"}, names); diff != "" || err != nil {
		t.Errorf("list %v (-want +got):\n%s", err, diff)
	}
	for algorithm, want := range map[string]string{client.SHA256: hexSum(want), client.CRC32: "", client.MD5: "", client.SHA512: ""} {
		if got, err := f.client.Hash(ctx, "boards/bbb/MLO", algorithm); err != nil || want != "" && got != want || got == "" {
			t.Errorf("%s: %q, %v", algorithm, got, err)
		}
	}
	if ok, err := f.client.Exists(ctx, "boards/none"); ok || err != nil {
		t.Errorf("exists: %t, %v", ok, err)
	}
}

func TestFilesAreMovedAndTheirVersionsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	ctx := t.Context()
	f.put("linux", []byte("old"))
	f.put("linux", []byte("new"))
	versions, err := f.client.Versions(ctx, "linux")
	if err != nil || len(versions) != 1 || versions[0].SHA256 != hexSum([]byte("old")) {
		t.Fatalf("versions %+v, %v", versions, err)
	}
	if _, err := f.client.Rollback(ctx, client.RollbackRequest{Name: "linux", If: client.Condition{SHA256: hexSum([]byte("new"))}}); err != nil || f.cat("linux") != "old" {
		t.Errorf("rollback: %v, it is %q", err, f.cat("linux"))
	}
	if _, err := f.client.Copy(ctx, client.PlaceRequest{From: "linux", To: "copies/linux"}); err != nil || f.cat("copies/linux") != "old" {
		t.Error("copy:", err)
	}
	if _, err := f.client.Rename(ctx, client.PlaceRequest{From: "copies", To: "moved"}); err != nil || f.cat("moved/linux") != "old" {
		t.Error("rename:", err)
	}
	if err := f.client.Symlink(ctx, client.LinkRequest{Name: "link", Target: "moved/linux"}); err != nil || f.cat("link") != "old" {
		t.Error("symlink:", err)
	}
	if err := f.client.Mkdir(ctx, "a/b"); err != nil {
		t.Error("mkdir:", err)
	}
	if err := f.client.PruneVersions(ctx, "linux", 0); err != nil {
		t.Error("prune:", err)
	}
	if versions, err := f.client.Versions(ctx, "linux"); err != nil || len(versions) != 0 {
		t.Errorf("versions after that: %v, %v", versions, err)
	}
	if err := f.client.RemoveAll(ctx, "moved"); err != nil {
		t.Error("remove all:", err)
	}
	if err := f.client.Remove(ctx, "linux"); err != nil {
		t.Error("remove:", err)
	}
}

// Each error of the store has its code, and none names a path of the host.
func TestWhatCannotBeDoneToFilesHasACode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	ctx := t.Context()
	f.put("dir/file", []byte("x"))
	put := func(q client.UploadRequest) error {
		_, err := f.client.Put(ctx, q, strings.NewReader("y"))
		return err
	}
	for name, c := range map[string]struct{ err, want error }{
		"a file that is not there":     {second(f.client.Stat(ctx, "none")), client.ErrNotFound},
		"one that is not there, read":  {second(f.client.Open(ctx, "none")), client.ErrNotFound},
		"one that is not there, moved": {second(f.client.Rename(ctx, client.PlaceRequest{From: "none", To: "a"})), client.ErrNotFound},
		"a name that climbs, moved":    {second(f.client.Rename(ctx, client.PlaceRequest{From: "dir/file", To: "../x"})), client.ErrInvalid},
		"a name that climbs, removed":  {f.client.Remove(ctx, "dir/../../x"), client.ErrInvalid},
		"odd names":                    {put(client.UploadRequest{Name: "a?b #%41/ü", Size: 1}), nil},
		"odd names, read":              {second(f.client.Stat(ctx, "//a?b #%41/./ü")), nil},
		"a name that climbs":           {put(client.UploadRequest{Name: "../x", Size: 1}), client.ErrInvalid},
		"the store's own directory":    {put(client.UploadRequest{Name: ".netbootd/x", Size: 1}), client.ErrInvalid},
		"a directory in its place":     {put(client.UploadRequest{Name: "dir", Size: 1}), client.ErrInvalid},
		"a wrong sum":                  {put(client.UploadRequest{Name: "a", Size: 1, SHA256: strings.Repeat("0f", 32)}), client.ErrInvalid},
		"a sum of zeros":               {put(client.UploadRequest{Name: "a", Size: 1, SHA256: strings.Repeat("0", 64)}), client.ErrInvalid},
		"no sum at all":                {put(client.UploadRequest{Name: "a", Size: 1, SHA256: "zz"}), client.ErrInvalid},
		"fewer bytes than announced":   {put(client.UploadRequest{Name: "a", Size: 2}), client.ErrInvalid},
		"more bytes than announced":    {put(client.UploadRequest{Name: "a", Size: 0}), client.ErrInvalid},
		"something stands there":       {put(client.UploadRequest{Name: "dir/file", Size: 1, If: client.Condition{Absent: true}}), client.ErrConflict},
		"something else stands there":  {put(client.UploadRequest{Name: "dir/file", Size: 1, If: client.Condition{SHA256: hexSum(nil)}}), client.ErrConflict},
		"a directory that is full":     {f.client.Remove(ctx, "dir"), client.ErrConflict},
		"a directory that is there":    {f.client.Mkdir(ctx, "dir"), client.ErrConflict},
		"a link that leads out":        {f.client.Symlink(ctx, client.LinkRequest{Name: "l", Target: "/etc/passwd"}), client.ErrForbidden},
		"an algorithm of somebody":     {second(f.client.Hash(ctx, "dir/file", "rot13")), client.ErrInvalid},
		"an upload that is not there":  {second(f.client.UploadStatus(ctx, "x")), client.ErrNotFound},
	} {
		if !errors.Is(c.err, c.want) || strings.Contains(fmt.Sprint(c.err), f.dir) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if all, err := f.client.Uploads(ctx); err != nil || len(all) != 0 {
		t.Errorf("uploads that failed are left: %v, %v", all, err)
	}
	if f.cat("dir/file") != "x" {
		t.Error("the file was changed")
	}
}

// second is the error of a call whose result does not matter.
func second[T any](_ T, err error) error { return err }

func TestOpenFileIsASeekerOfOneFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	want := noise(2, 100_000)
	f.put("a", want)
	file, err := f.client.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	p := make([]byte, 1000)
	if n, err := file.ReadAt(p, 70_000); n != len(p) || err != nil || !bytes.Equal(p, want[70_000:71_000]) {
		t.Errorf("ReadAt: %d, %v", n, err)
	}
	if n, err := file.ReadAt(p, 99_500); n != 500 || !errors.Is(err, io.EOF) || !bytes.Equal(p[:n], want[99_500:]) {
		t.Errorf("ReadAt over the end: %d, %v", n, err)
	}
	for _, at := range []int64{50_000, 10, 99_999, 100_000} {
		if _, err := file.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, want[at:]) {
			t.Errorf("from %d: %d bytes, %v", at, len(got), err)
		}
	}
	f.put("a", noise(3, 100_000))
	if _, err := file.ReadAt(p, 0); !errors.Is(err, client.ErrConflict) {
		t.Errorf("after it was replaced: %v", err)
	}
}

// A cutter passes connections on to a unix socket, and cuts them after a number of
// bytes from the client.
type cutter struct {
	socket string
	cuts   atomic.Int32
}

// newCutter cuts at each of the numbers in turn, and then no more.
func newCutter(t *testing.T, target string, after []int64) *cutter {
	t.Helper()
	c := &cutter{socket: filepath.Join(t.TempDir(), "s")}
	ln, err := net.Listen("unix", c.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go c.pass(in, target, after)
		}
	}()
	return c
}

// pass is the way of one connection. Only those that send much are cut.
func (c *cutter) pass(in net.Conn, target string, after []int64) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("unix", target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go func() {
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}()
	if n := int(c.cuts.Load()); n < len(after) {
		if sent, _ := io.CopyN(out, in, after[n]); sent == after[n] {
			c.cuts.Add(1)
			return
		}
	}
	_, _ = io.Copy(out, in)
}

// An upload goes on after cuts, from what can be read again and from what cannot.
func TestUploadGoesOnAfterCuts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	want := noise(4, 20<<20)
	for name, source := range map[string]io.Reader{
		"seeker": bytes.NewReader(want),
		"reader": io.MultiReader(bytes.NewReader(want)),
	} {
		after := []int64{5_000_000, 1_000, 1_200_000, 7_000_000}
		c := newCutter(t, f.opts.Settings.Control.Socket, after)
		i, err := client.New(c.socket).Put(t.Context(), client.UploadRequest{Name: name, Size: int64(len(want)), SHA256: hexSum(want)}, source)
		if err != nil || i.SHA256 != hexSum(want) {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
		if n := int(c.cuts.Load()); n != len(after) {
			t.Errorf("%s: it was cut %d times, want %d", name, n, len(after))
		}
	}
}

// An upload that one process began is gone on with by another, after a restart of
// the daemon.
func TestUploadOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	ctx, want := t.Context(), noise(5, 4<<20)
	u, err := f.client.NewUpload(ctx, client.UploadRequest{Name: "a", Size: int64(len(want))})
	if err != nil {
		t.Fatal(err)
	}
	if u, err = f.client.Append(ctx, u.ID, 0, bytes.NewReader(want[:1<<20])); err != nil || u.Offset != 1<<20 {
		t.Fatalf("%+v, %v", u, err)
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.start()
	var p *client.Problem
	if _, err := f.client.Append(ctx, u.ID, 7, strings.NewReader("x")); !errors.As(err, &p) || p.Offset == nil || *p.Offset != 1<<20 {
		t.Errorf("a piece from elsewhere: %v", err)
	}
	if i, err := f.client.Resume(ctx, u.ID, bytes.NewReader(want)); err != nil || i.SHA256 != hexSum(want) {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestWriterStoresOnClose(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	ctx := t.Context()
	w := f.client.Create(ctx, client.UploadRequest{Name: "a", Size: -1})
	if _, err := w.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if ok, err := f.client.Exists(ctx, "a"); ok || err != nil {
		t.Errorf("it is there before it is whole: %t, %v", ok, err)
	}
	if err := w.Close(); err != nil || w.Info().Size != 4 {
		t.Errorf("%+v, %v", w.Info(), err)
	}
	w.Abort() // does nothing any more
	if f.cat("a") != "text" {
		t.Error("it is not what was written")
	}
	w = f.client.Create(ctx, client.UploadRequest{Name: "b", Size: -1})
	_, _ = w.Write([]byte("text"))
	w.Abort()
	if ok, _ := f.client.Exists(ctx, "b"); ok {
		t.Error("an aborted file was stored")
	}
	refused, cancel := context.WithCancel(ctx)
	cancel()
	if w = f.client.Create(refused, client.UploadRequest{Name: "c"}); w.Close() == nil {
		t.Error("a writer whose context had ended says that it is done")
	}
}

// A file that was copied in by hand is served too, and its reads are not mixed.
func TestFileWithoutASumIsServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	path := filepath.Join(f.opts.Settings.Images, "hand")
	if err := os.WriteFile(path, []byte("first"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := f.client.Open(t.Context(), "hand")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := os.WriteFile(path+".new", []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if _, err := file.ReadAt(make([]byte, 5), 0); !errors.Is(err, client.ErrConflict) {
		t.Errorf("after it was replaced: %v", err)
	}
}

// A sender that was interrupted begins again, and what arrived need not be sent
// again: by the name, size and key that it gives.
func TestInterruptedUploadIsGoneOnWith(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	want := noise(6, 4<<20)
	q := client.UploadRequest{Name: "dir/a", Size: int64(len(want)), Key: "the one of today"}
	ctx, interrupt := context.WithCancel(t.Context())
	var offsets []int64
	open := func(_ context.Context, offset int64) (io.ReadCloser, error) {
		offsets = append(offsets, offset)
		return io.NopCloser(bytes.NewReader(want[offset:])), nil
	}
	_, err := f.client.PutFrom(ctx, q, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		half := io.MultiReader(bytes.NewReader(want[offset:2<<20]), readerFunc(func([]byte) (int, error) {
			interrupt()
			<-ctx.Done()
			return 0, ctx.Err()
		}))
		return io.NopCloser(half), nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other := q
	other.Key = "another one"
	if i, err := f.client.PutFrom(t.Context(), other, open); err != nil || i.SHA256 != hexSum(want) {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := f.client.PutFrom(t.Context(), q, open); err != nil || i.SHA256 != hexSum(want) {
		t.Errorf("%+v, %v", i, err)
	}
	if len(offsets) != 2 || offsets[0] != 0 || offsets[1] == 0 {
		t.Errorf("sent from %v on, want the second one to go on", offsets)
	}
	if open, err := f.client.Uploads(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("left: %v, %v", open, err)
	}
}

// A readerFunc is a reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
