package source

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// Limits of what an archive may claim to need, so that memory has a bound: what
// the tools of the formats grant without being asked for more.
const (
	maxXZDictionary = 64 << 20  // that of xz -9
	maxZstdWindow   = 128 << 20 // that of zstd -d
)

// ErrNotCompressed means that bytes are in no format that [Decompress] knows,
// though the file's name says so.
var ErrNotCompressed = errors.New("the name says that it is compressed, and it is not")

// A format is one of compressed files.
type format struct {
	name   string
	magic  string
	suffix []string
	unpack func(*bufio.Reader) (io.ReadCloser, error)
}

const gzipMagic = "\x1f\x8b"

var formats = []format{
	{"gzip", gzipMagic, []string{".gz", ".tgz"}, newGzip},
	{"xz", "\xfd7zXZ\x00", []string{".xz", ".txz"}, newXZ},
	{"bzip2", "BZh", []string{".bz2", ".tbz2"}, newBzip2},
	{"zstd", "\x28\xb5\x2f\xfd", []string{".zst", ".tzst"}, newZstd},
}

// Decompress unpacks what r holds, if it is compressed by gzip, xz, bzip2 or
// zstd, which its first bytes tell. It gives the name without its extension too
// (initrd.gz is initrd, root.tgz is root.tar). What is not compressed comes as it
// is, under its name, unless that claims otherwise: [ErrNotCompressed].
//
// Several members in one file come one after the other. What is cut short or
// damaged is an error. What follows the last member is ignored with gzip and
// bzip2, and an error with xz and zstd, as the tools do it. Memory is bounded: an
// archive that needs more is an error, but how much comes out is not limited.
// Closing the reader does not close r.
func Decompress(name string, r io.Reader) (string, io.ReadCloser, error) {
	in := &packed{r: r}
	br := bufio.NewReaderSize(in, 64<<10)
	for _, f := range formats {
		start, _ := br.Peek(len(f.magic)) // an error comes again
		if string(start) != f.magic {
			continue
		}
		out := &unpacker{name: name, format: f.name, in: in}
		var err error
		if out.ReadCloser, err = f.unpack(br); err != nil {
			return "", nil, out.explain(err)
		}
		return stripped(name), out, nil
	}
	if in.err != nil {
		return "", nil, in.err
	}
	if stripped(name) != name {
		return "", nil, fmt.Errorf("%s: %w", name, ErrNotCompressed)
	}
	return name, io.NopCloser(br), nil
}

// stripped is a name without the extension of a compressed file.
func stripped(name string) string {
	for _, f := range formats {
		for _, s := range f.suffix {
			base, found := strings.CutSuffix(name, s)
			if !found || base == "" || strings.HasSuffix(base, "/") {
				continue
			}
			if strings.HasPrefix(s, ".t") {
				return base + ".tar"
			}
			return base
		}
	}
	return name
}

// A packed reader remembers why it ended, so that a broken connection is not taken for
// a damaged file.
type packed struct {
	r   io.Reader
	err error
}

func (in *packed) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return n, err
}

// An unpacker makes a decoder's errors plain.
type unpacker struct {
	io.ReadCloser
	name   string
	format string
	in     *packed
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = u.explain(err)
	}
	return n, err
}

func (u *unpacker) explain(err error) error {
	switch {
	case u.in.err != nil:
		return u.in.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, xz.ErrBuf):
		return fmt.Errorf("%s: the %s data is cut short: %w", u.name, u.format, io.ErrUnexpectedEOF)
	case errors.Is(err, xz.ErrMemlimit), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &Error{
			Err:  fmt.Errorf("%s: unpacking needs more memory than the %s tool grants by default", u.name, u.format),
			Hint: "unpack it first, or compress it with a smaller dictionary or window",
		}
	}
	return fmt.Errorf("%s: the %s data is damaged: %w", u.name, u.format, err)
}

// A gzipReader reads members until what follows is none.
type gzipReader struct {
	*gzip.Reader
	in *bufio.Reader
}

func newGzip(in *bufio.Reader) (io.ReadCloser, error) {
	r, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	return &gzipReader{r, in}, nil
}

func (r *gzipReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	next, err := r.in.Peek(2)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return n, err
	case string(next) != gzipMagic:
		return n, io.EOF
	}
	if err := r.Reset(r.in); err != nil {
		return n, err
	}
	r.Multistream(false)
	return n, nil
}

func newXZ(in *bufio.Reader) (io.ReadCloser, error) {
	r, err := xz.NewReader(in, maxXZDictionary)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// A bzip2Reader ends where no further member follows.
type bzip2Reader struct{ io.Reader }

func newBzip2(in *bufio.Reader) (io.ReadCloser, error) {
	return io.NopCloser(bzip2Reader{bzip2.NewReader(in)}), nil
}

// errNoMember is what the decoder says of bytes after the last member.
const errNoMember = bzip2.StructuralError("bad magic value in continuation file")

func (r bzip2Reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, errNoMember) {
		return n, io.EOF
	}
	return n, err
}

func newZstd(in *bufio.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
