package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/url"
	"os/user"
	"path"
	"strings"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// remotePath is a file or a directory of an SSH server.
type remotePath struct {
	url  *url.URL
	file string // its path there; relative to the home directory if not absolute
}

func parseSFTP(text string) (place, bool, error) {
	if !hasScheme(text, "sftp") {
		return nil, false, nil
	}
	u, err := parseURL(text)
	switch {
	case err != nil:
		return nil, true, err
	case u.RawQuery != "" || u.Fragment != "":
		return nil, true, errors.New("in an sftp:// address write ? as %3F and # as %23")
	}
	p := remotePath{url: u, file: path.Clean("/" + u.Path)}
	if home, found := strings.CutPrefix(p.file+"/", "/~/"); found {
		p.file = path.Clean(home)
	}
	return p, true, nil
}

func (p remotePath) String() string {
	shown := url.URL{Scheme: p.url.Scheme, Host: p.url.Host, Path: p.url.Path}
	if name := p.url.User.Username(); name != "" {
		shown.User = url.User(name)
	}
	return shown.String()
}

func (p remotePath) path() string { return p.file }

// address is the host with its port.
func (p remotePath) address() string {
	if p.url.Port() == "" {
		return net.JoinHostPort(p.url.Hostname(), "22")
	}
	return p.url.Host
}

func (p remotePath) open(ctx context.Context, o Options) (lister, error) {
	s := &sshServer{remotePath: p, options: o}
	if _, err := s.session(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// An sshServer is read by SFTP. One connection serves all its readers; who finds
// it broken makes the next.
type sshServer struct {
	remotePath
	options Options

	mu      sync.Mutex // guards what follows, also while connecting
	current *session   // nil before the first and after a broken one
	closed  bool
}

// A session is a connection to the server.
type session struct {
	*sftp.Client
	ssh *ssh.Client
}

// cut ends the session and whatever waits for it, without another packet.
func (s *session) cut() { _ = s.ssh.Close() }

// session gives the connection, a new one if there is none.
func (s *sshServer) session(ctx context.Context) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, permanentError{errors.New("the source is closed")}
	case s.current != nil:
		return s.current, nil
	}
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	client, err := sftp.NewClient(conn)
	if err != nil {
		_ = conn.Close() // it may be what broke
		return nil, fmt.Errorf("the server does not begin to speak SFTP: %w", err)
	}
	s.current = &session{client, conn}
	return s.current, nil
}

// forget ends a session that broke, so that the next reader connects again.
func (s *sshServer) forget(broken *session) {
	broken.cut()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == broken {
		s.current = nil
	}
}

func (s *sshServer) Close() error {
	s.mu.Lock()
	last := s.current
	s.closed, s.current = true, nil
	s.mu.Unlock()
	if last == nil {
		return nil
	}
	last.cut()
	_ = last.Wait() // tells that the connection was closed, which is what was wanted
	return nil
}

// dial connects and logs in.
func (s *sshServer) dial(ctx context.Context) (*ssh.Client, error) {
	name := s.url.User.Username()
	if name == "" {
		me, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("the name of this user is unknown, write sftp://USER@%s: %w", s.url.Host, err)
		}
		name = me.Username
	}
	keys := findKeys()
	defer keys.close()
	hosts, err := readKnownHosts(s.address())
	if err != nil {
		return nil, permanentError{err}
	}
	config := &ssh.ClientConfig{
		User:              name,
		Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(keys.signers)},
		HostKeyCallback:   hosts.check,
		HostKeyAlgorithms: hosts.algorithms(),
	}
	if password, ok := s.url.User.Password(); ok {
		config.Auth = append(config.Auth, ssh.Password(password))
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, channels, requests, err := ssh.NewClientConn(conn, s.address(), config)
	switch {
	case err == nil:
		return ssh.NewClient(c, channels, requests), nil
	case hosts.refused != nil:
		err = permanentError{hosts.refused}
	case strings.Contains(err.Error(), "unable to authenticate"):
		err = permanentError{keys.refused(name)}
	}
	_ = conn.Close() // mostly it is closed already
	return nil, err
}

func (s *sshServer) items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		sess, err := s.session(ctx)
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer context.AfterFunc(ctx, sess.cut)()
		info, err := sess.Stat(s.file)
		switch {
		case err != nil:
			yield(Item{}, withoutPath(err))
		case info.IsDir():
			w := walk{ctx: ctx, tree: remoteTree{s, sess}, follow: s.options.FollowLinks, yield: yield}
			w.directory(".", nil)
		case info.Mode().IsRegular():
			yield(s.item(path.Base(s.file), s.file, info), nil)
		default:
			yield(Item{}, errors.New("neither a file nor a directory"))
		}
	}
}

func (s *sshServer) item(name, file string, info fs.FileInfo) Item {
	return Item{
		Name:    name,
		Size:    info.Size(),
		ModTime: info.ModTime(),
		Version: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().Unix()),
		open: s.options.Retry.resuming(s.shown(file), info.Size(), func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return s.read(ctx, file, info, offset)
		}),
	}
}

// shown is the address of one file, as it may be printed.
func (s *sshServer) shown(file string) string {
	p := s.remotePath
	u := *p.url
	u.Path, u.RawPath = file, ""
	if !path.IsAbs(file) {
		u.Path = "/~/" + file
	}
	p.url = &u
	return p.String()
}

// readAhead is how much is asked for at once, in many packets, so that a long
// way to the server costs no time.
const readAhead = 1 << 20

// read opens a file at an offset. When ctx ends, so does the connection, for all
// its readers: a file cannot be closed if the server does not answer.
func (s *sshServer) read(ctx context.Context, file string, listed fs.FileInfo, offset int64) (io.ReadCloser, error) {
	sess, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	unlink := context.AfterFunc(ctx, sess.cut)
	f, err := sess.Open(file)
	if err != nil {
		unlink()
		return nil, s.explain(sess, err)
	}
	r := &remoteReader{server: s, session: sess, file: f, listed: listed, unlink: unlink}
	if err := r.start(offset); err != nil {
		_ = r.Close() // it has failed already
		return nil, err
	}
	return r, nil
}

// explain tells what another try may mend, a broken connection, from what it
// will not.
func (s *sshServer) explain(sess *session, err error) error {
	var status *sftp.StatusError
	if errors.As(err, &status) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return permanentError{withoutPath(err)}
	}
	s.forget(sess)
	return err
}
