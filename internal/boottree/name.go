package boottree

import (
	"fmt"
	"io/fs"
	"strings"
)

// Clean turns a name as firmware sends it into a clean relative path:
// backslashes are slashes, repeated slashes are one, leading slashes and dots
// fall away. A name that climbs, names a drive or holds control bytes is
// refused with an error that wraps fs.ErrPermission; nothing is decoded.
func Clean(name string) (string, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q has a control character: %w", name, fs.ErrPermission)
	}
	var elems []string
	for elem := range strings.SplitSeq(strings.ReplaceAll(name, `\`, "/"), "/") {
		switch {
		case elem == "" || elem == ".":
			continue
		case elem == "..":
			return "", fmt.Errorf("%q climbs out of its directory: %w", name, fs.ErrPermission)
		case len(elems) == 0 && len(elem) == 2 && elem[1] == ':':
			return "", fmt.Errorf("%q names a drive: %w", name, fs.ErrPermission)
		}
		elems = append(elems, elem)
	}
	if len(elems) == 0 {
		return "", fmt.Errorf("%q names no file: %w", name, fs.ErrNotExist)
	}
	return strings.Join(elems, "/"), nil
}
