package images

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// begin begins an upload.
func begin(t *testing.T, s *Store, target Target, size int64) Upload {
	t.Helper()
	u, err := s.NewUpload(t.Context(), target, size)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUploadGoesOnAfterACutAndARestart(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"d/f": "old"})
	text := strings.Repeat("0123456789", 300_000)
	u := begin(t, s, Target{Name: "d/f", SHA256: sumOf(text), Origin: Origin{By: "ci"}}, int64(len(text)))
	cut := errors.New("connection cut")
	u, err := s.Append(t.Context(), u.ID, 0, io.MultiReader(strings.NewReader(text[:1_000_001]), iotest.ErrReader(cut)))
	if !errors.Is(err, cut) || u.Offset != 1_000_001 {
		t.Fatalf("offset %d, %v, want what came before the cut", u.Offset, err)
	}
	// What is behind the offset was not synced, and a power cut may leave anything.
	f, err := os.OpenFile(filepath.Join(dir, u.path()), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("uncertain"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	s = reopen(t, s)
	again, err := s.Upload(u.ID)
	if err != nil || again.Offset != u.Offset || again.Target != u.Target {
		t.Fatalf("after a restart %+v, %v, want %+v", again, err, u)
	}
	if _, err := s.Commit(t.Context(), u.ID); !errors.Is(err, ErrSize) {
		t.Errorf("commit of a part: %v, want ErrSize", err)
	}
	if u, err = s.Append(t.Context(), u.ID, u.Offset, strings.NewReader(text[u.Offset:])); err != nil {
		t.Fatal(err)
	}
	i, err := s.Commit(t.Context(), u.ID)
	if err != nil || i.SHA256 != sumOf(text) || i.Origin.By != "ci" || content(s, "d/f") != text {
		t.Errorf("%+v, %v", i, err)
	}
	if kept, _ := s.Versions("d/f"); len(kept) != 1 {
		t.Errorf("versions %+v, want the old file", kept)
	}
	if _, err := s.Upload(u.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the commit: %v", err)
	}
	if left := litter(t, s); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, map[string]string{"f": "old"})
	u := begin(t, s, Target{Name: "f"}, 10)
	var offset *OffsetError
	if _, err := s.Append(t.Context(), u.ID, 4, strings.NewReader("x")); !errors.As(err, &offset) || offset.Offset != 0 {
		t.Errorf("a gap: %v, want an OffsetError for 0", err)
	}
	if u, err := s.Append(t.Context(), u.ID, 0, strings.NewReader("0123456789a")); !errors.Is(err, ErrSize) || u.Offset != 10 {
		t.Errorf("more than was announced: offset %d, %v", u.Offset, err)
	}
	if _, err := s.Append(t.Context(), u.ID, 0, strings.NewReader("x")); !errors.As(err, &offset) || offset.Offset != 10 {
		t.Errorf("bytes twice: %v, want an OffsetError for 10", err)
	}
	for name, id := range map[string]string{"unknown": "X", "a path": "../versions/1", "none": ""} {
		_, appended := s.Append(t.Context(), id, 0, strings.NewReader("x"))
		_, committed := s.Commit(t.Context(), id)
		for _, err := range []error{appended, committed, s.Abort(id)} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("an id that is %s: %v", name, err)
			}
		}
	}
	if err := s.Abort(u.ID); err != nil {
		t.Error(err)
	}
	bad := begin(t, s, Target{Name: "f", SHA256: sumOf("other")}, -1)
	if _, err := s.Append(t.Context(), bad.ID, 0, strings.NewReader("this")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), bad.ID); !errors.Is(err, ErrSum) {
		t.Errorf("wrong bytes: %v, want ErrSum", err)
	}
	if len(s.Uploads()) > 0 || len(litter(t, s)) > 0 {
		t.Error("left behind:", s.Uploads(), litter(t, s))
	}
	if got := content(s, "f"); got != "old" {
		t.Errorf("the file is %q", got)
	}
}

func TestUploadTakesOneAppendAtATime(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	u := begin(t, s, Target{Name: "f"}, -1)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.Append(t.Context(), u.ID, 0, r)
		done <- err
	}()
	if _, err := w.Write([]byte("first")); err != nil { // returns when the append has read it
		t.Fatal(err)
	}
	_, appended := s.Append(t.Context(), u.ID, 0, strings.NewReader("second"))
	_, committed := s.Commit(t.Context(), u.ID)
	for what, err := range map[string]error{"append": appended, "commit": committed, "abort": s.Abort(u.ID)} {
		if !errors.Is(err, ErrBusy) {
			t.Errorf("%s beside an append: %v, want ErrBusy", what, err)
		}
	}
	_ = w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := s.Commit(t.Context(), u.ID); err != nil || content(s, "f") != "first" {
		t.Errorf("%q, %v", content(s, "f"), err)
	}
}

func TestCommitLooksAtTheConditionAgain(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	u := begin(t, s, Target{Name: "f", If: Condition{Absent: true}}, -1)
	mustPut(t, s, "f", "somebody else")
	if _, err := s.Commit(t.Context(), u.ID); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if _, err := s.Upload(u.ID); err != nil {
		t.Errorf("the upload is lost: %v", err)
	}
	if _, err := s.NewUpload(t.Context(), Target{Name: "f", If: Condition{Absent: true}}, -1); !errors.Is(err, ErrConflict) {
		t.Errorf("at the beginning: %v, want ErrConflict", err)
	}
}

func TestUploadsAreBoundedInNumberAndAge(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	s.opts.MaxUploads = 3
	var ids []string
	for i := range 3 {
		ids = append(ids, begin(t, s, Target{Name: fmt.Sprint("f", i)}, -1).ID)
	}
	if _, err := s.NewUpload(t.Context(), Target{Name: "g"}, -1); !errors.Is(err, ErrTooManyUploads) {
		t.Errorf("got %v, want ErrTooManyUploads", err)
	}
	// The clock jumps: one was used long ago, one in the future.
	for i, jump := range []time.Duration{-s.opts.UploadAge - time.Minute, 1000 * time.Hour} {
		name := filepath.Join(uploadsDir, ids[i]+recordSuffix)
		var r uploadRecord
		if err := s.readRecord(name, &r); err != nil {
			t.Fatal(err)
		}
		r.LastUsed = r.LastUsed.Add(jump)
		if err := s.writeRecord(name, r); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, uploadsDir, "without-record"), "x")
	write(t, filepath.Join(dir, uploadsDir, "without-bytes.json"), "x")
	s = reopen(t, s)
	if len(litter(t, s)) != 4 {
		t.Errorf("after a restart %v, want the two uploads that have not expired", litter(t, s))
	}
	begin(t, s, Target{Name: "g"}, -1)
	var got []string
	for _, u := range s.Uploads() {
		got = append(got, u.Target.Name)
	}
	if diff := cmp.Diff([]string{"f1", "f2", "g"}, got); diff != "" {
		t.Error(diff)
	}
}
