package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// local is a path of this host.
type local string

func parseLocal(text string) (place, bool, error) {
	if strings.ContainsRune(text, 0) {
		return nil, true, errors.New("a path holds a zero byte")
	}
	return local(text), true, nil
}

func (l local) String() string { return string(l) }

// path is absolute, so that "." has a last element too.
func (l local) path() string {
	abs, err := filepath.Abs(string(l))
	if err != nil {
		return filepath.ToSlash(string(l))
	}
	return filepath.ToSlash(abs)
}

func (l local) open(_ context.Context, o Options) (lister, error) {
	info, err := os.Stat(string(l))
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(string(l), ":"):
		return nil, &Error{
			Err:  withoutPath(err),
			Hint: "files of other hosts are sftp://host/path; for what rclone knows: rclone cat remote:path | netbootd upload - NAME",
		}
	case err != nil:
		return nil, withoutPath(err)
	case !info.IsDir():
		return localFile(l), nil
	}
	root, err := os.OpenRoot(string(l))
	if err != nil {
		return nil, withoutPath(err)
	}
	return &directory{root: root, follow: o.FollowLinks}, nil
}

// withoutPath is an error of the file system without the path that the caller
// names anyway.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// localFile is a path that is no directory.
type localFile string

func (f localFile) Close() error { return nil }

func (f localFile) items(context.Context) iter.Seq2[Item, error] {
	info, err := os.Stat(string(f))
	if err != nil {
		return one(Item{}, withoutPath(err))
	}
	open := func() (*os.File, error) { return os.Open(string(f)) }
	name := path.Base(local(f).path())
	if info.Mode().IsRegular() {
		return one(regular(name, info, string(f), open), nil)
	}
	// A pipe, as the shell makes one of <(command), or a device: read as it comes.
	return one(Item{Name: name, Size: -1, open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
		if offset > 0 {
			return nil, fmt.Errorf("%s: is no regular file, so it cannot be read from byte %d on", f, offset)
		}
		return open()
	}}, nil)
}

// regular is the item of a regular file.
func regular(name string, info fs.FileInfo, shown string, open func() (*os.File, error)) Item {
	return Item{
		Name:    name,
		Size:    info.Size(),
		ModTime: info.ModTime(),
		Version: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()),
		open: func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			f, err := open()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", shown, withoutPath(err))
			}
			r := &fileReader{ctx: ctx, file: f, listed: info, shown: shown}
			if _, err = f.Seek(offset, io.SeekStart); err == nil {
				err = r.check()
			}
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return r, nil
		},
	}
}

// A fileReader reads a local file, and fails at its end if it is not the one
// that was listed.
type fileReader struct {
	ctx    context.Context // the reader's life; io.Reader has no place for one
	file   *os.File
	listed fs.FileInfo
	shown  string
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, fmt.Errorf("%s: %w", r.shown, context.Cause(r.ctx))
	}
	n, err := r.file.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if changed := r.check(); changed != nil {
			return n, changed
		}
		return n, io.EOF
	case err != nil:
		return n, fmt.Errorf("%s: %w", r.shown, withoutPath(err))
	}
	return n, nil
}

func (r *fileReader) Close() error { return r.file.Close() }

// check compares the file with the one that was listed.
func (r *fileReader) check() error {
	now, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", r.shown, withoutPath(err))
	}
	if !os.SameFile(now, r.listed) || now.Size() != r.listed.Size() || !now.ModTime().Equal(r.listed.ModTime()) {
		return fmt.Errorf("%s: %w", r.shown, ErrChanged)
	}
	return nil
}
