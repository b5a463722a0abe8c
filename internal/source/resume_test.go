package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// errCut is what a cut connection gives.
var errCut = errors.New("connection reset by peer")

// flaky gives a content over connections of which each breaks after so many
// bytes; -1 refuses to open. After the last of them nothing breaks any more.
type flaky struct {
	content []byte
	cuts    []int
	clean   bool // a cut looks like the end of the file
}

func (f *flaky) connect(_ context.Context, offset int64) (io.ReadCloser, error) {
	rest := bytes.NewReader(f.content[offset:])
	if len(f.cuts) == 0 {
		return io.NopCloser(rest), nil
	}
	n := f.cuts[0]
	f.cuts = f.cuts[1:]
	if n < 0 {
		return nil, errCut
	}
	end := errCut
	if f.clean {
		end = io.EOF
	}
	return io.NopCloser(io.MultiReader(io.LimitReader(rest, int64(n)), errReader{end})), nil
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestAnyCutsBelowTheBoundGiveTheExactBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "content")
		tries := rapid.IntRange(2, 4).Draw(t, "tries")
		f := &flaky{content: content, clean: rapid.Bool().Draw(t, "clean")}
		offset := rapid.IntRange(0, len(content)).Draw(t, "offset")
		idle, left := 0, len(content)-offset // connections in a row that give nothing; bytes to come
		for _, n := range rapid.SliceOf(rapid.IntRange(-1, 20)).Draw(t, "cuts") {
			gain := min(max(n, 0), left)
			if idle++; gain > 0 {
				idle = 1 // it gave bytes, but it broke
			}
			if idle < tries {
				f.cuts = append(f.cuts, n)
				left -= gain
			}
		}
		size := int64(len(content))
		if !f.clean && rapid.Bool().Draw(t, "unknown size") {
			size = -1
		}
		r, err := Retry{Tries: tries, Pause: 1}.resuming("it", size, f.connect)(context.Background(), int64(offset))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, content[offset:]) {
			t.Fatalf("got %x and %v, want %x", got, err, content[offset:])
		}
	})
}

func TestGivingUpSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	f := &flaky{content: make([]byte, 100), cuts: []int{40, 0, -1, 0}}
	r, err := Retry{Tries: 4, Pause: 1}.resuming("http://h/f", 100, f.connect)(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(r)
	if !errors.Is(err, errCut) || err.Error() != "http://h/f: after 40 of 100 bytes: given up after 4 tries: connection reset by peer" {
		t.Error(err)
	}
}

func TestWhatNoTryWillMendIsToldAtOnce(t *testing.T) {
	t.Parallel()
	tried := 0
	connect := func(context.Context, int64) (io.ReadCloser, error) {
		tried++
		return nil, permanentError{errors.New("403")}
	}
	if _, err := impatient.resuming("it", -1, connect)(t.Context(), 0); err == nil || tried != 1 {
		t.Errorf("got %v after %d tries", err, tried)
	}
}

func TestMoreBytesThanAnnouncedAreNotHandedOut(t *testing.T) {
	t.Parallel()
	f := &flaky{content: make([]byte, 101)}
	r, err := impatient.resuming("it", 100, f.connect)(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); len(got) > 100 || !errors.Is(err, ErrChanged) {
		t.Errorf("got %d bytes and %v", len(got), err)
	}
}

// hung gives a few bytes and then nothing, until its context ends.
type hung struct {
	ctx  context.Context
	some io.Reader
}

func (h hung) Read(p []byte) (int, error) {
	if n, _ := h.some.Read(p); n > 0 {
		return n, nil
	}
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

func (hung) Close() error { return nil }

func TestStalledConnectionIsCutAndGoneOnWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offsets []int64
		connect := func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			offsets = append(offsets, offset)
			return hung{ctx, strings.NewReader("abc")}, nil
		}
		r, err := Retry{Stall: time.Minute}.resuming("it", 6, connect)(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != "abcabc" || len(offsets) != 2 || offsets[1] != 3 {
			t.Errorf("got %q, %v, connections from %v", got, err, offsets)
		}
	})
}

func TestPausesGrowAndEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		connect := func(context.Context, int64) (io.ReadCloser, error) {
			at = append(at, time.Since(start))
			return nil, errCut
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		_, err := Retry{Tries: 100, Pause: time.Second}.resuming("it", 6, connect)(ctx, 0)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		want := []time.Duration{0, 1, 3, 7, 15, 31}
		for i := range want {
			if i >= len(at) || at[i] != want[i]*time.Second {
				t.Fatalf("tried at %v, want %v seconds", at, want)
			}
		}
	})
}
