package images

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName    = 1024 // bytes of a whole name
	maxElement = 255  // bytes between two slashes: NAME_MAX of Linux
)

// Clean makes a name that a person gave the one that the store uses: elements with
// slashes between them, from the top of the store, without empty ones and dots. The
// top itself is ".". Errors wrap [ErrName].
func Clean(name string) (string, error) {
	if i := strings.IndexFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == utf8.RuneError }); i >= 0 {
		return "", fmt.Errorf("%q has a backslash, a control character or a byte that is not UTF-8: %w", name, ErrName)
	}
	for elem := range strings.SplitSeq(name, "/") {
		if elem == ".." {
			return "", fmt.Errorf("%q climbs out of its directory: %w", name, ErrName)
		}
		if len(elem) > maxElement {
			return "", fmt.Errorf("%.40q... has %d bytes between two slashes, and %d are allowed: %w", elem, len(elem), maxElement, ErrName)
		}
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if len(clean) > maxName {
		return "", fmt.Errorf("%.40q... is %d bytes long, and %d are allowed: %w", clean, len(clean), maxName, ErrName)
	}
	if isPrivate(clean) {
		return "", fmt.Errorf("%q: %s is the store's own: %w", name, privateDir, ErrName)
	}
	return clean, nil
}

// cleanFile is as Clean, for a name that must not be the top of the store.
func cleanFile(name string) (string, error) {
	clean, err := Clean(name)
	if err == nil && clean == "." {
		return "", fmt.Errorf("%q is the images directory itself: %w", name, ErrName)
	}
	return clean, err
}

// isPrivate tells of a clean name whether it belongs to the store itself.
func isPrivate(name string) bool {
	return name == privateDir || strings.HasPrefix(name, privateDir+"/")
}
