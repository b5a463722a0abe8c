package tftp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// netascii is the translation said in another way.
var netascii = strings.NewReplacer("\n", "\r\n", "\r", "\r\x00")

func TestNetasciiReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("line\n\r", netasciiStride)
	for _, text := range []string{"", "abc", "\n", "\r\n", "a\nb\rc", strings.Repeat("\n", 512), long} {
		want := netascii.Replace(text)
		r, err := newNetasciiReader(t.Context(), strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if r.wire != int64(len(want)) {
			t.Errorf("%d bytes: got %d on the wire, want %d", len(text), r.wire, len(want))
		}
		got, err := io.ReadAll(io.NewSectionReader(r, 0, r.wire+1))
		if err != nil || string(got) != want {
			t.Errorf("%d bytes: got %d wrong ones, %v", len(text), len(got), err)
		}
	}
}

func TestNetasciiReaderAtAnyOffset(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SliceOfN(rapid.SampledFrom([]byte("a\r\n")), 1, 20).Draw(t, "unit")
		text := bytes.Repeat(unit, rapid.IntRange(0, 3*netasciiStride/len(unit)).Draw(t, "times"))
		want := netascii.Replace(string(text))
		r, err := newNetasciiReader(t.Context(), bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		off := rapid.IntRange(0, len(want)).Draw(t, "offset")
		got := make([]byte, rapid.IntRange(0, len(want)-off).Draw(t, "length"))
		if n, err := r.ReadAt(got, int64(off)); n != len(got) || len(got) > 0 && err != nil {
			t.Fatalf("got %d bytes of %d: %v", n, len(got), err)
		}
		if string(got) != want[off:off+len(got)] {
			t.Fatalf("wrong bytes at %d", off)
		}
	})
}

func TestNetasciiReaderOfShorterFile(t *testing.T) {
	t.Parallel()
	_, err := newNetasciiReader(t.Context(), strings.NewReader("abc"), 4)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected end", err)
	}
}
