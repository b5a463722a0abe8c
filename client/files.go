package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A FileInfo is what the daemon knows of a file or a directory of its images.
type FileInfo struct {
	Name     string    `json:"name"` // from the top of the images, with slashes; "." is the top
	Dir      bool      `json:"dir"`
	Link     string    `json:"link,omitempty"`   // where a symbolic link points to; the rest tells of its target
	Broken   bool      `json:"broken,omitempty"` // a link that leads nowhere, or out of the images
	Size     int64     `json:"size"`             // bytes; 0 of a directory
	Modified time.Time `json:"modified"`
	SHA256   string    `json:"sha256,omitempty"` // hexadecimal; empty until the file was hashed, and again when it has changed
	By       string    `json:"by,omitempty"`     // who stored it; empty if it was copied or changed by hand
	From     string    `json:"from,omitempty"`   // from where, as the one who stored it said
	Stored   time.Time `json:"stored,omitzero"`  // when; zero if it was copied or changed by hand
}

// A FileVersion is a file that another one has replaced under its name.
type FileVersion struct {
	ID string `json:"id"`
	FileInfo
	Replaced time.Time `json:"replaced"`
}

// A Condition is what must stand under a name for it to be changed, so that two who
// change it do not undo each other's work. The zero value demands nothing. What
// does not hold is [ErrConflict].
type Condition struct {
	Absent bool   `json:"absent,omitempty"` // nothing stands there
	SHA256 string `json:"sha256,omitempty"` // a file stands there that has this sum
}

// The algorithms of [Client.Hash].
const (
	SHA256 = "sha256"
	SHA512 = "sha512"
	MD5    = "md5"
	CRC32  = "crc32" // IEEE, as U-Boot prints it
)

// A PlaceRequest puts a file under a name.
type PlaceRequest struct {
	From string    `json:"from"` // name of the file, or of the version's file
	To   string    `json:"to"`
	If   Condition `json:"if,omitzero"` // of To
}

// A RollbackRequest gives a version its name back.
type RollbackRequest struct {
	Name string    `json:"name"`
	ID   string    `json:"id,omitempty"` // empty: the one that was replaced last
	If   Condition `json:"if,omitzero"`
}

// A LinkRequest makes a symbolic link.
type LinkRequest struct {
	Name   string `json:"name"`
	Target string `json:"target"` // relative to the directory of the link, and in the images
}

// Stat tells of a file or a directory; links are followed. It does not wait for a
// file to be hashed.
func (c *Client) Stat(ctx context.Context, name string) (FileInfo, error) {
	var i FileInfo
	return i, c.call(ctx, http.MethodGet, storePath("stat", name), nil, &i)
}

// Exists tells whether there is a file or directory of that name.
func (c *Client) Exists(ctx context.Context, name string) (bool, error) {
	_, err := c.Stat(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// List tells of what is in a directory, by name; "." is the top.
func (c *Client) List(ctx context.Context, dir string) ([]FileInfo, error) {
	var list []FileInfo
	return list, c.call(ctx, http.MethodGet, storePath("list", dir), nil, &list)
}

// ListAll is as List, with all directories below, each before what is in it.
func (c *Client) ListAll(ctx context.Context, dir string) ([]FileInfo, error) {
	var list []FileInfo
	return list, c.call(ctx, http.MethodGet, storePath("list", dir)+"?recursive=true", nil, &list)
}

// Hash is the hash of a file in hexadecimal, by one of the algorithms of this
// package. The daemon may have to read the whole file.
func (c *Client) Hash(ctx context.Context, name, algorithm string) (string, error) {
	var h FileHash
	err := c.call(ctx, http.MethodGet, storePath("hash", name)+"?algorithm="+url.QueryEscape(algorithm), nil, &h)
	return h.Hash, err
}

// A FileHash is the hash of a file.
type FileHash struct {
	Algorithm string `json:"algorithm"`
	Hash      string `json:"hash"` // hexadecimal
}

// Mkdir makes a directory, and those above it. What is there already is
// [ErrConflict].
func (c *Client) Mkdir(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, storePath("mkdir", name), nil, nil)
}

// Copy stores a file under another name too. What it replaces is kept as a version.
func (c *Client) Copy(ctx context.Context, q PlaceRequest) (FileInfo, error) {
	var i FileInfo
	return i, c.call(ctx, http.MethodPost, "/v1/store/copy", q, &i)
}

// Rename moves a file, a link or a directory. A file that it replaces is kept as a
// version.
func (c *Client) Rename(ctx context.Context, q PlaceRequest) (FileInfo, error) {
	var i FileInfo
	return i, c.call(ctx, http.MethodPost, "/v1/store/rename", q, &i)
}

// Symlink makes a symbolic link. What stands there already is [ErrConflict], and a
// link that leads out of the images [ErrForbidden].
func (c *Client) Symlink(ctx context.Context, q LinkRequest) error {
	return c.call(ctx, http.MethodPost, "/v1/store/symlink", q, nil)
}

// Remove removes a file, a link or an empty directory. Its versions stay.
func (c *Client) Remove(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, filePath(name), nil, nil)
}

// RemoveAll is as Remove, with all that is in a directory.
func (c *Client) RemoveAll(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, filePath(name)+"?recursive=true", nil, nil)
}

// Versions are the files that are kept for a name, the one that was replaced last
// first.
func (c *Client) Versions(ctx context.Context, name string) ([]FileVersion, error) {
	var list []FileVersion
	return list, c.call(ctx, http.MethodGet, storePath("versions", name), nil, &list)
}

// PruneVersions removes the versions of a name, except those that were replaced
// last.
func (c *Client) PruneVersions(ctx context.Context, name string, keep int) error {
	return c.call(ctx, http.MethodDelete, storePath("versions", name)+"?keep="+strconv.Itoa(keep), nil, nil)
}

// Rollback gives a version its name back. The file that stands there becomes a
// version in its turn.
func (c *Client) Rollback(ctx context.Context, q RollbackRequest) (FileInfo, error) {
	var i FileInfo
	return i, c.call(ctx, http.MethodPost, "/v1/store/rollback", q, &i)
}

// storePath is where a question about a name is asked.
func storePath(what, name string) string { return "/v1/store/" + what + "/" + escapePath(name) }

// filePath is where a file's bytes are.
func filePath(name string) string { return "/v1/files/" + escapePath(name) }

// escapePath is a name as part of a URL: what a URL would take for its own is
// escaped, and what it would leave out is left out, but for "..", which [errClimbs]
// is for.
func escapePath(name string) string {
	var elems []string
	for elem := range strings.SplitSeq(name, "/") {
		if elem != "" && elem != "." {
			elems = append(elems, url.PathEscape(elem))
		}
	}
	return strings.Join(elems, "/")
}

// errClimbs is about a path that HTTP would take for another one.
func errClimbs(path string) error {
	path, _, _ = strings.Cut(path, "?")
	if slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("%w: a name with the element \"..\" is not a name for a file", ErrInvalid)
	}
	return nil
}

// Open opens a file for reading. ctx is that of all reads, until it is closed.
func (c *Client) Open(ctx context.Context, name string) (*File, error) {
	f := &File{client: c, ctx: ctx, path: filePath(name)}
	resp, err := c.send(ctx, http.MethodHead, f.path, nil, nil)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // it is empty
	f.size, f.etag = resp.ContentLength, resp.Header.Get("ETag")
	return f, nil
}

// A File is a file of the images, open for reading. It implements io.Reader,
// io.Seeker, io.ReaderAt and io.Closer. Reads after the file was replaced fail with
// [ErrConflict], so that they never mix the bytes of two. Read and Seek belong to
// one goroutine at a time.
type File struct {
	client *Client
	ctx    context.Context // of all reads, as an http.Request has that of its body
	path   string
	size   int64
	etag   string

	off  int64
	body io.ReadCloser // at off; nil if none is open
}

// Size is the file's length in bytes when it was opened.
func (f *File) Size() int64 { return f.size }

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) {
	if f.off >= f.size {
		return 0, io.EOF
	}
	if f.body == nil {
		body, err := f.from(f.off, f.size)
		if err != nil {
			return 0, err
		}
		f.body = body
	}
	n, err := f.body.Read(p)
	f.off += int64(n)
	if errors.Is(err, io.EOF) && f.off < f.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		f.drop()
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.size {
		return 0, io.EOF
	}
	end := min(off+int64(len(p)), f.size)
	body, err := f.from(off, end)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	n, err := io.ReadFull(body, p[:end-off])
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Seek implements io.Seeker. It sends nothing.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.off
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d, before the beginning", offset)
	}
	if offset != f.off {
		f.drop()
	}
	f.off = offset
	return offset, nil
}

// Close gives the connection back.
func (f *File) Close() error {
	f.drop()
	return nil
}

func (f *File) drop() {
	if f.body != nil {
		_ = f.body.Close() // what was not read is of no use
	}
	f.body = nil
}

// from opens the bytes from off to end.
func (f *File) from(off, end int64) (io.ReadCloser, error) {
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, end-1)}}
	if f.etag != "" {
		h.Set("If-Match", f.etag)
	}
	resp, err := f.client.send(f.ctx, http.MethodGet, f.path, h, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
