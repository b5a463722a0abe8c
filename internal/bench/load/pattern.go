package load

import (
	"bytes"
	"io"
	"math/rand/v2"
)

// patternPeriod is a prime, so that two blocks of a file, or two blocks whose
// numbers are equal modulo 65536, never hold the same bytes by their place.
const patternPeriod = 1_000_003

// A Pattern is the content of every file that is served: known for each offset,
// whatever the file's size, and cheap to compare with.
type Pattern struct {
	bytes []byte // one period and, for slices across its end, the longest block more
}

// maxBlock is the longest block there is (RFC 2348).
const maxBlock = 65464

// NewPattern makes the pattern. It is the same at every call.
func NewPattern() *Pattern {
	b := make([]byte, patternPeriod+maxBlock)
	_, _ = rand.NewChaCha8([32]byte{'b', 'e', 'n', 'c', 'h'}).Read(b[:patternPeriod]) // never fails
	copy(b[patternPeriod:], b)
	return &Pattern{bytes: b}
}

// At are the n bytes at an offset of a file. n is at most 65464; the slice must
// not be changed.
func (p *Pattern) At(offset int64, n int) []byte {
	start := offset % patternPeriod
	return p.bytes[start : start+int64(n)]
}

// Matches tells whether data is what a file holds at offset.
func (p *Pattern) Matches(data []byte, offset int64) bool {
	return len(data) <= maxBlock && bytes.Equal(data, p.At(offset, len(data)))
}

// WriteFile writes a file of the given size in bytes.
func (p *Pattern) WriteFile(w io.Writer, size int64) error {
	for offset := int64(0); offset < size; {
		n := min(size-offset, maxBlock)
		if _, err := w.Write(p.At(offset, int(n))); err != nil {
			return err
		}
		offset += n
	}
	return nil
}
