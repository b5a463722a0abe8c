package bootfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// magics knows files that begin with a mark of their own.
func magics(head []byte, _ io.ReaderAt) (Info, bool) {
	for _, m := range []struct {
		mark string
		kind Kind
	}{
		{"070701", CPIO}, {"070702", CPIO}, {"070707", CPIO}, {"\xc7\x71", CPIO}, // cpio(5)
		{"hsqs", SquashFS},
		{"MSWIM\x00\x00\x00", WIM},
		{"#!ipxe", IPXEScript},
		{"#!gpxe", IPXEScript}, // iPXE takes the scripts of its forerunner
	} {
		if hasAt(head, 0, m.mark) {
			return Info{Kind: m.kind}, true
		}
	}
	return Info{}, false
}

// compressions are the formats that Linux is packed with (its scripts/extract-vmlinux
// and lib/decompress.c have the same marks).
var compressions = []struct{ mark, name string }{
	{"\x1f\x8b", "gzip"},
	{"\xfd7zXZ\x00", "xz"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\x04\x22\x4d\x18", "lz4"},
	{"\x02\x21\x4c\x18", "lz4"}, // the old format, which Linux uses
	{"BZh", "bzip2"},
	{"\x5d\x00\x00", "lzma"},
	{"\x89LZO\x00", "lzo"},
}

func compressed(head []byte, _ io.ReaderAt) (Info, bool) {
	for _, c := range compressions {
		if hasAt(head, 0, c.mark) {
			return Info{Kind: Compressed, Compression: c.name}, true
		}
	}
	return Info{}, false
}

// maxPacked bounds what is read to see the beginning of what is in a file, in
// bytes.
const maxPacked = 64 << 10

// inside is what a gzip file holds, Compressed if that is nothing known.
func inside(r io.ReaderAt) Info {
	packed := Info{Kind: Compressed, Compression: "gzip"}
	z, err := gzip.NewReader(io.NewSectionReader(r, 0, maxPacked))
	if err != nil {
		return packed
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(z, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return packed
	}
	info := identify(head[:n], bytes.NewReader(head[:n]))
	if info.Kind == Unknown || info.Kind == Text || info.Compression != "" {
		return packed
	}
	info.Compression = "gzip"
	return info
}

// iso knows the volume descriptor of ISO 9660, section 8.
func iso(_ []byte, more io.ReaderAt) (Info, bool) {
	b := make([]byte, 5)
	n, _ := more.ReadAt(b, 0x8001) // errorKeeper has the error
	return Info{Kind: ISO}, string(b[:n]) == "CD001"
}

// text knows text, and what a web server says in place of a file.
func text(head []byte, _ io.ReaderAt) (Info, bool) {
	start := strings.ToLower(strings.TrimSpace(string(head)))
	switch {
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		return Info{Kind: HTML}, true
	case bytes.ContainsFunc(head, isBinary):
		return Info{}, false
	}
	return Info{Kind: Text}, true
}

// isBinary tells whether a text would not hold r.
func isBinary(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == utf8.RuneError
}
