package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// socketGroup may use the control socket, if the host has such a group.
const socketGroup = "netbootd"

// ErrRunning means that another daemon answers on the socket.
var ErrRunning = errors.New("another netbootd is running")

// ListenUnix binds the control socket and makes its directory if it is missing.
// A socket that a killed daemon left behind is replaced; one that answers is
// [ErrRunning]. The socket is mode 0660 for the group netbootd where there is
// one, else 0600; access says which, for people.
func ListenUnix(path string) (ln net.Listener, access string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, "", err
	}
	if err := removeStale(path); err != nil {
		return nil, "", err
	}
	ln, err = net.Listen("unix", path)
	if err != nil {
		return nil, "", fmt.Errorf("control socket %s: %w", path, err)
	}
	access, err = restrict(path)
	if err != nil {
		return nil, "", errors.Join(err, ln.Close())
	}
	return ln, access, nil
}

// removeStale takes away a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control socket %s: there is a file of that name that is no socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return fmt.Errorf("%w: it answers on %s", ErrRunning, path)
	}
	return os.Remove(path)
}

// restrict sets owner and mode of the socket.
func restrict(path string) (access string, err error) {
	g, err := user.LookupGroup(socketGroup)
	if err != nil {
		return "root only, for there is no group " + socketGroup, os.Chmod(path, 0o600)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return "", err
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return "", err
	}
	return "root and the group " + socketGroup, os.Chmod(path, 0o660)
}
