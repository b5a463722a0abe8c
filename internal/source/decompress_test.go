package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// lines is what the files of testdata hold, made by xz 5.4, bzip2 1.0, gzip 1.12
// and zstd 1.5.
func lines() []byte {
	var b bytes.Buffer
	for i := range 400 {
		fmt.Fprintf(&b, "block %d of the kernel\n", i)
	}
	return b.Bytes()
}

var packedFiles = []string{"lines.gz", "lines.xz", "lines-x86.xz", "lines.bz2", "lines.zst"}

func readPacked(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpack decompresses to the end.
func unpack(name string, b []byte) (string, []byte, error) {
	got, r, err := Decompress(name, iotest.OneByteReader(bytes.NewReader(b)))
	if err != nil {
		return "", nil, err
	}
	content, err := io.ReadAll(r)
	return got, content, errors.Join(err, r.Close())
}

func TestDecompressWhatTheToolsMade(t *testing.T) {
	t.Parallel()
	for _, file := range packedFiles {
		name, got, err := unpack("a/"+file, readPacked(t, file))
		if err != nil || name != strings.TrimSuffix("a/"+file, filepath.Ext(file)) || !bytes.Equal(got, lines()) {
			t.Errorf("%s: got %s with %d bytes and %v", file, name, len(got), err)
		}
	}
}

func TestDecompressGoesByContent(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"linux": "linux", "x.tgz": "x.tar", "x.txz": "x.tar", "x.xz": "x", ".gz": ".gz", "d/.gz": "d/.gz", "": "", "a.img": "a.img",
	} {
		if got, _, err := unpack(name, readPacked(t, "lines.gz")); err != nil || got != want {
			t.Errorf("%q becomes %q, %v, want %q", name, got, err, want)
		}
	}
	for _, content := range []string{"", "x", "kernel", "\x1f", "BZ"} {
		if name, got, err := unpack("linux", []byte(content)); err != nil || name != "linux" || string(got) != content {
			t.Errorf("%q: got %q of %s and %v", content, got, name, err)
		}
	}
	if _, _, err := unpack("d/linux.gz", []byte("<html>")); !errors.Is(err, ErrNotCompressed) || err.Error() != "d/linux.gz: the name says that it is compressed, and it is not" {
		t.Error(err)
	}
}

func TestDecompressSeveralMembers(t *testing.T) {
	t.Parallel()
	for _, file := range packedFiles {
		b := readPacked(t, file)
		if _, got, err := unpack(file, append(b, b...)); err != nil || !bytes.Equal(got, append(lines(), lines()...)) {
			t.Errorf("%s: got %d bytes and %v", file, len(got), err)
		}
	}
}

func TestDecompressTrailingBytesAsTheToolsDo(t *testing.T) {
	t.Parallel()
	for file, ignored := range map[string]bool{"lines.gz": true, "lines.bz2": true, "lines.xz": false, "lines.zst": false} {
		_, got, err := unpack(file, append(readPacked(t, file), "trailing"...))
		if ignored != (err == nil) || !bytes.Equal(got, lines()) && ignored {
			t.Errorf("%s: got %d bytes and %v", file, len(got), err)
		}
	}
	if _, got, err := unpack("lines.xz", append(readPacked(t, "lines.xz"), 0, 0, 0, 0)); err != nil || !bytes.Equal(got, lines()) {
		t.Errorf("padding: got %d bytes and %v", len(got), err)
	}
}

func TestDecompressCutShortAnywhere(t *testing.T) {
	t.Parallel()
	for _, file := range packedFiles {
		b := readPacked(t, file)
		for n := 6; n < len(b); n++ {
			if _, _, err := unpack(file, b[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d of %d bytes: got %v", file, n, len(b), err)
				break
			}
		}
	}
}

func TestDecompressDamagedAnywhere(t *testing.T) {
	t.Parallel()
	for _, file := range packedFiles {
		for i := range readPacked(t, file) {
			b := readPacked(t, file)
			b[i] ^= 0x10
			_, got, err := unpack("linux", b)
			if err == nil && !bytes.Equal(got, lines()) && !bytes.Equal(got, b) {
				t.Errorf("%s with byte %d changed gives something else without an error", file, i)
				break
			}
		}
	}
}

func TestDecompressTellsABrokenConnectionFromADamagedFile(t *testing.T) {
	t.Parallel()
	for _, file := range packedFiles {
		b := readPacked(t, file)
		for _, n := range []int{0, 3, 20, len(b) / 2, len(b)} {
			_, r, err := Decompress(file, io.MultiReader(bytes.NewReader(b[:n]), errReader{errCut}))
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if !errors.Is(err, errCut) {
				t.Errorf("%s, cut after %d of %d bytes: got %v", file, n, len(b), err)
			}
		}
	}
}

func TestDecompressionBombsOfMemory(t *testing.T) {
	t.Parallel()
	// Frame header (RFC 8878 section 3.1.1.1): no content size, a window of 2 GiB;
	// then an empty last block.
	bomb := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00}
	wantTooMuch(t, "x.zst", bomb)

	// The block header of an xz file: its LZMA2 filter says how large the
	// dictionary is, here 4 GiB - 1; a CRC32 follows.
	b := readPacked(t, "lines.xz")
	header := b[12 : 12+(int(b[12])+1)*4]
	at := bytes.Index(header, []byte{0x21, 0x01})
	header[at+2] = 40
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	wantTooMuch(t, "x.xz", b)
}

func wantTooMuch(t *testing.T, name string, b []byte) {
	t.Helper()
	_, _, err := unpack(name, b)
	if err == nil || !strings.Contains(err.Error(), "unpacking needs more memory than the ") || hintOf(err) == "" {
		t.Errorf("%s: got %v", name, err)
	}
}

func FuzzDecompress(f *testing.F) {
	for _, file := range packedFiles {
		f.Add(readPacked(f, file))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, r, err := Decompress("linux", bytes.NewReader(b))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		_ = r.Close()
	})
}
