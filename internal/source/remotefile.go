package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/pkg/sftp"
)

// A remoteReader reads a file of an SSH server over one connection, and fails if
// it is not the one that was listed.
type remoteReader struct {
	server  *sshServer
	session *session
	file    *sftp.File
	listed  fs.FileInfo
	unlink  func() bool // from the connection's life
	ahead   *bufio.Reader
}

func (r *remoteReader) start(offset int64) error {
	if err := r.check(); err != nil {
		return err
	}
	if _, err := r.file.Seek(offset, io.SeekStart); err != nil {
		return r.server.explain(r.session, err)
	}
	r.ahead = bufio.NewReaderSize(r.file, readAhead)
	return nil
}

func (r *remoteReader) Read(p []byte) (int, error) {
	n, err := r.ahead.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if changed := r.check(); changed != nil {
			return n, changed
		}
		return n, io.EOF
	case err != nil:
		return n, r.server.explain(r.session, err)
	}
	return n, nil
}

// check compares the file with the one that was listed.
func (r *remoteReader) check() error {
	now, err := r.file.Stat()
	switch {
	case err != nil:
		return r.server.explain(r.session, err)
	case now.Size() != r.listed.Size() || !now.ModTime().Equal(r.listed.ModTime()):
		return ErrChanged
	}
	return nil
}

func (r *remoteReader) Close() error {
	defer r.unlink()
	return r.file.Close()
}

// A remoteTree is a directory of an SSH server, listed over one connection.
type remoteTree struct {
	server *sshServer
	*session
}

func (t remoteTree) full(name string) string { return path.Join(t.server.file, name) }

// list refuses names that would lead elsewhere: the server may say anything.
func (t remoteTree) list(name string) ([]fs.FileInfo, error) {
	infos, err := t.ReadDir(t.full(name))
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		if strings.Contains(info.Name(), "/") || checkName(info.Name()) != nil {
			return nil, fmt.Errorf("it holds %q, which is no name of a file", info.Name())
		}
	}
	return infos, nil
}

func (t remoteTree) stat(name string) (fs.FileInfo, error) { return t.Stat(t.full(name)) }
func (t remoteTree) real(name string) (string, error)      { return t.RealPath(t.full(name)) }

func (t remoteTree) target(name string) (string, error) {
	target, err := t.ReadLink(t.full(name))
	if err != nil {
		return "", err
	}
	return target, checkTarget(name, target)
}

func (t remoteTree) file(name string, info fs.FileInfo) Item {
	return t.server.item(name, t.full(name), info)
}
