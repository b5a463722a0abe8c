package bootfile

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
)

// U-Boot's old image header, all big-endian (U-Boot, include/image.h).
const (
	uImageMagic     = "\x27\x05\x19\x56"
	sizeUImage      = 64
	offsetHeaderCRC = 4
	offsetImageArch = 29
	offsetImageType = 30
	typeScript      = 6
)

// uImageArchs are the values of ih_arch that machines of ours may have.
var uImageArchs = map[byte]CPU{2: "arm32", 3: "x86", 5: "mips32", 6: "mips64", 7: "powerpc", 22: "arm64", 24: "x64", 27: "loongarch64"}

func uImage(head []byte, _ io.ReaderAt) (Info, bool) {
	h := at(head, 0, sizeUImage)
	if h == nil || !hasAt(h, 0, uImageMagic) {
		return Info{}, false
	}
	info := Info{Kind: UImage, CPU: uImageArchs[h[offsetImageArch]]}
	if h[offsetImageType] == typeScript { // its arch is no matter to U-Boot
		info = Info{Kind: UBootScript}
	}
	sum := crc32.NewIEEE()
	_, _ = sum.Write(h[:offsetHeaderCRC]) // never fails
	_, _ = sum.Write(make([]byte, 4))
	_, _ = sum.Write(h[offsetHeaderCRC+4:])
	if sum.Sum32() != binary.BigEndian.Uint32(h[offsetHeaderCRC:]) {
		info.Damage = "the checksum of its header is wrong"
	}
	return info, true
}

// The flattened format of device trees (Devicetree Specification 0.4, chapter 5).
const (
	fdtMagic         = "\xd0\x0d\xfe\xed"
	sizeFDTHeader    = 40
	offsetFDTStruct  = 8
	offsetFDTStrings = 12
	fdtBeginNode     = 1
	fdtEndNode       = 2
	fdtProp          = 3
	fdtNop           = 4
)

// maxTokens bounds how much of a tree is walked through. The images of a FIT come
// first in it.
const maxTokens = 256

// flattenedTree tells U-Boot's FIT from a plain device tree: both have the same
// format, and only a FIT has a node /images.
func flattenedTree(head []byte, more io.ReaderAt) (Info, bool) {
	if !hasAt(head, 0, fdtMagic) || len(head) < sizeFDTHeader {
		return Info{}, false
	}
	w := &fdtWalk{
		r:       more,
		next:    int64(binary.BigEndian.Uint32(head[offsetFDTStruct:])),
		strings: int64(binary.BigEndian.Uint32(head[offsetFDTStrings:])),
	}
	for range maxTokens {
		if !w.step() {
			break
		}
	}
	if !w.fit {
		return Info{Kind: DeviceTree}, true
	}
	return Info{Kind: FIT, CPU: fitArchs[w.arch]}, true
}

// fitArchs are the names of archs in a FIT (U-Boot, boot/image.c).
var fitArchs = map[string]CPU{"arm": "arm32", "arm64": "arm64", "x86": "x86", "x86_64": "x64", "mips": "mips32", "mips64": "mips64", "ppc": "powerpc", "powerpc": "powerpc", "loongarch64": "loongarch64"}

// An fdtWalk goes through the structure block of a tree, token by token.
type fdtWalk struct {
	r       io.ReaderAt
	next    int64 // offset of the next token
	strings int64 // offset of the block with the names of properties

	path []string // of the node that it is in; the root has the name ""
	fit  bool     // there is /images
	arch string   // of the first image that tells
}

// step goes past one token. It is false at the end, and where the tree is damaged.
func (w *fdtWalk) step() bool {
	switch w.number() {
	case fdtBeginNode:
		name := w.text(w.next)
		w.next += int64(len(name)+4) &^ 3 // with its zero byte, to a multiple of 4
		w.path = append(w.path, name)
		w.fit = w.fit || len(w.path) == 2 && name == "images"
	case fdtEndNode:
		if len(w.path) == 0 {
			return false
		}
		w.path = w.path[:len(w.path)-1]
	case fdtProp:
		size, name := int64(w.number()), int64(w.number())
		if len(w.path) == 3 && w.path[1] == "images" && w.arch == "" && w.text(w.strings+name) == "arch" {
			w.arch = w.text(w.next)
		}
		w.next += (size + 3) &^ 3
	case fdtNop:
	default:
		return false
	}
	return true
}

// number reads the next cell. It is 0, which no token is, behind the end.
func (w *fdtWalk) number() uint32 {
	var b [4]byte
	n, _ := w.r.ReadAt(b[:], w.next) // errorKeeper has the error
	w.next += int64(len(b))
	if n < len(b) {
		return 0
	}
	return binary.BigEndian.Uint32(b[:])
}

// text reads a short text that ends with a zero byte.
func (w *fdtWalk) text(offset int64) string {
	b := make([]byte, 64) // names of nodes have at most 31 bytes
	n, _ := w.r.ReadAt(b, offset)
	s, _, _ := strings.Cut(string(b[:n]), "\x00")
	return s
}
