package images

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"maps"
	"slices"
)

// A Sum is the sha256 of a file. The zero value means that it is not known.
type Sum [sha256.Size]byte

// ParseSum reads the 64 hexadecimal digits of a sha256.
func ParseSum(text string) (s Sum, err error) {
	return s, s.UnmarshalText([]byte(text))
}

// IsZero tells whether the sum is not known.
func (s Sum) IsZero() bool { return s == Sum{} }

// String is the sum in hexadecimal, or the empty text.
func (s Sum) String() string {
	if s.IsZero() {
		return ""
	}
	return hex.EncodeToString(s[:])
}

// MarshalText implements [encoding.TextMarshaler].
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. The empty text is the zero
// value.
func (s *Sum) UnmarshalText(text []byte) error {
	*s = Sum{}
	if len(text) == 0 {
		return nil
	}
	if hex.DecodedLen(len(text)) != len(s) || len(text)%2 != 0 {
		return fmt.Errorf("%q is no sha256, which has %d hexadecimal digits", text, hex.EncodedLen(len(s)))
	}
	if _, err := hex.Decode(s[:], text); err != nil {
		return fmt.Errorf("%q is no sha256: %w", text, err)
	}
	return nil
}

var (
	_ encoding.TextMarshaler   = Sum{}
	_ encoding.TextUnmarshaler = (*Sum)(nil)
)

// An Algorithm is a way to hash a file.
type Algorithm string

// The algorithms.
const (
	SHA256 Algorithm = "sha256"
	SHA512 Algorithm = "sha512"
	MD5    Algorithm = "md5"
	CRC32  Algorithm = "crc32" // IEEE, as U-Boot prints it
)

// hashes makes each algorithm's hash.
var hashes = map[Algorithm]func() hash.Hash{
	SHA256: sha256.New,
	SHA512: sha512.New,
	MD5:    md5.New,
	CRC32:  func() hash.Hash { return crc32.NewIEEE() },
}

// Hash is the hash of a file, in hexadecimal. A sha256 that is known is not
// reckoned again, and one that was reckoned is remembered. It reads the whole file,
// until ctx ends. It returns [ErrChanged] if the file was written to meanwhile, and
// an error for an algorithm that there is not.
func (s *Store) Hash(ctx context.Context, name string, a Algorithm) (string, error) {
	name, err := cleanFile(name)
	if err != nil {
		return "", err
	}
	newHash, ok := hashes[a]
	if !ok {
		return "", fmt.Errorf("%q: %w, there are %v", a, ErrAlgorithm, slices.Sorted(maps.Keys(hashes)))
	}
	f, err := s.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if a == SHA256 {
		sum, err := s.sumOf(ctx, name, f)
		return sum.String(), explain(name, err)
	}
	h := newHash()
	err = f.hashInto(ctx, h)
	return hex.EncodeToString(h.Sum(nil)), explain(name, err)
}

// sumOf is the sha256 of a file that is open, known or reckoned.
func (s *Store) sumOf(ctx context.Context, name string, f *File) (Sum, error) {
	known, ok := s.facts.of(name, f.version)
	if ok && !known.SHA256.IsZero() {
		return known.SHA256, nil
	}
	h := sha256.New()
	if err := f.hashInto(ctx, h); err != nil {
		return Sum{}, err
	}
	known.SHA256 = Sum(h.Sum(nil))
	if !ok {
		known = fact{SHA256: known.SHA256, Print: f.version.print()}
	}
	if f.shared {
		s.facts.note(name, known)
	}
	return known.SHA256, nil
}

// hashInto reads a whole file into a hash.
func (f *File) hashInto(ctx context.Context, h hash.Hash) error {
	b := make([]byte, bufferBytes)
	for off := int64(0); off < f.Size(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(b[:min(int64(len(b)), f.Size()-off)], off)
		if err != nil {
			return err
		}
		h.Write(b[:n])
		off += int64(n)
	}
	return f.check()
}
