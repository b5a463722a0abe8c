package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"
	"unicode"
)

// A Ref is a reference: the place that files come from. [Parse] makes it.
type Ref struct{ place }

// String is the reference as it may be shown: without a password, and without
// the query of an address.
func (r Ref) String() string { return r.place.String() }

// Base is the last element of the reference, the name that "cp" would give the
// copy; empty if there is none, as for standard input.
func (r Ref) Base() string {
	if b := path.Base(r.path()); checkName(b) == nil {
		return b
	}
	return ""
}

// IsStdin tells whether it is "-", standard input.
func (r Ref) IsStdin() bool { _, ok := r.place.(stdin); return ok }

// IsLocal tells whether it is a path of this host: nobody else can read that.
func (r Ref) IsLocal() bool { _, ok := r.place.(local); return ok }

// A place is a reference that one of the schemes has claimed.
type place interface {
	String() string
	path() string // with slashes; its last element names what comes from there
	open(ctx context.Context, o Options) (lister, error)
}

// A lister knows the items of a place. It is safe for concurrent use once it is
// open.
type lister interface {
	items(ctx context.Context) iter.Seq2[Item, error]
	Close() error
}

// schemes are asked in this order; the first that claims a reference parses it.
var schemes = []func(text string) (p place, claimed bool, err error){
	parseStdin, parseWeb, parseS3, parseSFTP, parseOCI, parseUnknown, parseLocal,
}

// Parse reads a reference:
//
//	http://host/path  https://host/path    one file
//	s3://bucket/key  s3://bucket/prefix/   an object, or all below a prefix;
//	                                       ?endpoint=URL and ?region=NAME
//	sftp://[user@]host[:port]/path         a file or a directory; /~/ is the home
//	oci://registry/repository:tag          the titled layers of an artifact; also
//	                                       @digest, ?plain-http=1, #title
//	"-"                                    standard input
//
// Anything else without "://" is a path of this host. Parse asks nobody, so the
// place need not exist.
func Parse(text string) (Ref, error) {
	if text == "" {
		return Ref{}, errors.New("the source is empty")
	}
	for _, parse := range schemes {
		if p, claimed, err := parse(text); claimed {
			return Ref{p}, err
		}
	}
	panic("parseLocal claims everything")
}

// parseUnknown claims what looks like an address and is of no scheme above.
func parseUnknown(text string) (place, bool, error) {
	scheme, _, found := strings.Cut(text, "://")
	if !found || strings.ContainsAny(scheme, "/\\") {
		return nil, false, nil
	}
	return nil, true, &Error{
		Err:  fmt.Errorf("cannot read from %s://, only from http, https, s3, sftp, oci, local paths, and - for standard input", scheme),
		Hint: "let another program read it, as in: rclone cat remote:path | netbootd upload - NAME",
	}
}

// Options are the parts of a [Source]. The zero value works.
type Options struct {
	Stdin io.Reader // what "-" reads

	// FollowLinks gives what symbolic links of a directory lead to. Else links
	// that stay inside are given as links, and others are errors.
	FollowLinks bool

	Retry Retry
}

// A Source is a place that is being read. It is safe for concurrent use.
type Source struct {
	ref    Ref
	lister lister
}

// Open gets in touch with the place where that is needed to read from it, and
// fails at once if that does not work. The source must be closed.
func Open(ctx context.Context, r Ref, o Options) (*Source, error) {
	l, err := r.open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return &Source{r, l}, nil
}

// Close lets go of what the source holds. The readers of its items come first.
func (s *Source) Close() error { return s.lister.Close() }

// Items lists the source, once: a single file is one item, of a directory it is
// all below it. An error that comes with an item is about this one alone, and
// the listing goes on; an error that comes with no name ends it. A place that
// holds nothing is an error.
func (s *Source) Items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		empty := true
		for it, err := range s.lister.items(ctx) {
			empty = false
			if err == nil && it.Name != "" {
				err = checkName(it.Name)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", s.ref, err)
			}
			if !yield(it, err) || (err != nil && it.Name == "") {
				return
			}
		}
		if empty {
			yield(Item{}, fmt.Errorf("%s: there is no file in it", s.ref))
		}
	}
}

// checkName refuses what is no name of a file below a directory.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%q is no name to store a file under", name)
	}
	return nil
}

// An Item is one file of a source, or one symbolic link.
type Item struct {
	// Name is relative to the source, clean and with slashes. It is empty for
	// standard input and for an address that ends in no name: then the caller
	// must know one.
	Name string

	Size    int64     // in bytes; -1 is unknown
	ModTime time.Time // zero is unknown

	// Version is equal for equal bytes only: an item listed later that has the
	// same one can be read on where an earlier one was left. Empty if the source
	// tells nothing that is good enough for that.
	Version string

	// SHA256 is what the source says that the bytes are, in hex, or empty. The
	// reader does not compare: who stores the bytes hashes them anyway.
	SHA256 string

	// Link is the target of a symbolic link: relative, and not leading out of the
	// source. A link has no bytes to open.
	Link string

	open opener
}

// An opener gives the bytes of a file from an offset on. What it gives need not
// be read after ctx has ended.
type opener func(ctx context.Context, offset int64) (io.ReadCloser, error)

// Open gives the bytes from offset on; they end when ctx does. The reader wants
// one goroutine. An error wraps [ErrChanged] if the item is not what was listed.
func (it Item) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	switch {
	case it.open == nil:
		return nil, fmt.Errorf("%s: a symbolic link has no bytes", it.Name)
	case offset < 0 || it.Size >= 0 && offset > it.Size:
		return nil, fmt.Errorf("%s: no byte %d in %d", it.Name, offset, it.Size)
	}
	return it.open(ctx, offset)
}

// one is the listing of a place with a single item.
func one(it Item, err error) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) { yield(it, err) }
}
