package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
)

// netasciiStride is how many bytes of the file lie between two notes of the
// index: what is read and translated to find one block, and 8 bytes of memory
// each.
const netasciiStride = 16 << 10

// A netasciiReader gives the bytes of a file as netascii has them on the wire
// (RFC 1350 section 1, RFC 764): LF becomes CR LF, and CR becomes CR NUL. What
// one byte turns into may lie on both sides of a block's end.
type netasciiReader struct {
	file io.ReaderAt
	size int64   // of the file
	at   []int64 // at[i] is where byte i*netasciiStride of the file begins on the wire
	wire int64   // bytes on the wire in all
}

// newNetasciiReader reads the whole file once to learn how long it gets.
func newNetasciiReader(ctx context.Context, file io.ReaderAt, size int64) (*netasciiReader, error) {
	r := &netasciiReader{file: file, size: size}
	buf := make([]byte, netasciiStride)
	for off := int64(0); off < size; off += netasciiStride {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.at = append(r.at, r.wire)
		chunk := buf[:min(netasciiStride, size-off)]
		if err := readFull(file, chunk, off); err != nil {
			return nil, err
		}
		for _, c := range chunk {
			r.wire++
			if c == '\n' || c == '\r' {
				r.wire++
			}
		}
	}
	return r, nil
}

// ReadAt reads wire bytes. It is an io.ReaderAt, so it may be called from many
// goroutines at once if the file's ReadAt may.
func (r *netasciiReader) ReadAt(p []byte, off int64) (n int, err error) {
	stride := sort.Search(len(r.at), func(i int) bool { return r.at[i] > off }) - 1
	if stride < 0 || off >= r.wire {
		return 0, io.EOF
	}
	buf := make([]byte, netasciiStride)
	for ; stride < len(r.at) && n < len(p); stride++ {
		begin := int64(stride) * netasciiStride
		chunk := buf[:min(netasciiStride, r.size-begin)]
		if err := readFull(r.file, chunk, begin); err != nil {
			return n, err
		}
		n += translate(p[n:], chunk, off+int64(n)-r.at[stride])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// translate writes the wire form of src to dst, without its first skip bytes,
// and returns how many bytes fitted.
func translate(dst, src []byte, skip int64) (n int) {
	put := func(c byte) {
		switch {
		case skip > 0:
			skip--
		case n < len(dst):
			dst[n] = c
			n++
		}
	}
	for _, c := range src {
		switch c {
		case '\n':
			put('\r')
			put('\n')
		case '\r':
			put('\r')
			put(0)
		default:
			put(c)
		}
		if n == len(dst) {
			break
		}
	}
	return n
}

// readFull reads exactly len(p) bytes. A file that has fewer was cut while it
// was being sent.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil // err may be io.EOF here, by the contract of io.ReaderAt
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at offset %d: %w", len(p), off, err)
}

// A netasciiWriter takes netascii off the wire and writes what it means: CR LF is
// LF, CR NUL is CR (RFC 764). The two may come in different packets.
type netasciiWriter struct {
	to io.Writer
	cr bool // the last byte was a CR, which is not written yet
}

// Write implements io.Writer.
func (w *netasciiWriter) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+1)
	for _, c := range p {
		after := w.cr
		w.cr = c == '\r'
		switch {
		case after && c == '\n':
			out = append(out, '\n')
			continue
		case after && c == 0:
			out = append(out, '\r')
			continue
		case after: // a lone CR breaks the rules; it is kept
			out = append(out, '\r')
		}
		if !w.cr {
			out = append(out, c)
		}
	}
	if _, err := w.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes a CR that nothing followed.
func (w *netasciiWriter) flush() error {
	if !w.cr {
		return nil
	}
	w.cr = false
	_, err := w.to.Write([]byte{'\r'})
	return err
}
