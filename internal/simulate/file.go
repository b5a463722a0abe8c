package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"netbootd/internal/bootfile"
)

// A File is a boot file that was fetched. Its bytes are not kept.
type File struct {
	Name    string        `json:"name"` // as asked for, or the URL
	Server  string        `json:"server,omitempty"`
	Size    int64         `json:"size"`
	SHA256  string        `json:"sha256"`
	Took    time.Duration `json:"took_ns"`
	Machine string        `json:"machine,omitempty"` // the arch of an EFI program

	isPE      bool
	head      []byte
	mediaType string // of HTTP
}

// headSize is how much of a file is kept to see what it is: the headers of EFI
// programs and kernels are far smaller. In bytes.
const headSize = 64 << 10

// A sink takes the bytes of a file, of which it keeps the hash and the head.
type sink struct {
	size int64
	sum  hash.Hash
	head []byte
}

func newSink() *sink { return &sink{sum: sha256.New()} }

// Write never fails.
func (s *sink) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	s.head = append(s.head, b[:min(len(b), headSize-len(s.head))]...)
	return s.sum.Write(b)
}

// file is what was received, by that name.
func (s *sink) file(name string) *File {
	f := &File{Name: name, Size: s.size, SHA256: hex.EncodeToString(s.sum.Sum(nil)), head: s.head}
	arch, err := bootfile.MachineType(bytes.NewReader(s.head))
	if err == nil {
		f.Machine = arch.String()
	}
	f.isPE = !errors.Is(err, bootfile.ErrNotEFI)
	return f
}

// isKernel tells whether it is a Linux kernel for x86 (its boot protocol, "the
// real-mode kernel header"). One with an EFI stub is an EFI program too.
func (f *File) isKernel() bool {
	const offset = 0x202
	return len(f.head) >= offset+4 && string(f.head[offset:offset+4]) == "HdrS"
}

func (f *File) quoted() string { return fmt.Sprintf("the boot file %q", base(f.Name)) }

// judge says why the client would not start the file, or nil.
func (c player) judge(f *File) *Finding {
	if f.Size == 0 {
		return finding(StepLoader, "%s is empty", f.quoted())
	}
	return c.family.judge(c, f)
}
