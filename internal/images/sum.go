package images

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
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

// Hash is the hash of a file, in hexadecimal. A sha256 that is known is not
// reckoned again, and one that was reckoned is remembered. It reads the whole file,
// until ctx ends. It returns [ErrChanged] if the file was written to meanwhile.
func (s *Store) Hash(ctx context.Context, name string, a Algorithm) (string, error) {
	return "", errContract
}
