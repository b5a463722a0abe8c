package source

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// newKey makes a private key, and its text for a file, which a passphrase may
// protect.
func newKey(t *testing.T, key any, passphrase string) (ssh.Signer, []byte) {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A sshd is OpenSSH's server on the loopback interface, with a cutter in front.
type sshd struct {
	user    string
	address string
	cut     *cutter
	files   string // a directory that it can read
	keys    string // what it knows users by
	hosts   []ssh.PublicKey
}

// startSSHD runs it as an ordinary user: root has it run as nobody, so that it
// needs nothing else of the host.
func startSSHD(t *testing.T) *sshd {
	t.Helper()
	binary, err := os.ReadFile(program(t, "pkg/openssh-server/usr/sbin/sshd"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sshd") // that of the test is for its own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &sshd{address: freeAddress(t), files: filepath.Join(dir, "files"), keys: filepath.Join(dir, "authorized_keys")}
	_, port, _ := net.SplitHostPort(s.address)
	config := fmt.Sprintf(`ListenAddress 127.0.0.1
Port %s
PidFile none
AuthorizedKeysFile %s
StrictModes no
PasswordAuthentication no
UsePAM yes
Subsystem sftp internal-sftp
`, port, s.keys)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"sshd": binary, "authorized_keys": nil}
	for name, key := range map[string]any{"ed25519": newEd25519(t), "ecdsa": ecKey} {
		signer, text := newKey(t, key, "")
		s.hosts = append(s.hosts, signer.PublicKey())
		files[name] = text
		config += "HostKey " + filepath.Join(dir, name) + "\n"
	}
	slices.SortFunc(s.hosts, func(a, b ssh.PublicKey) int { return strings.Compare(b.Type(), a.Type()) }) // ssh-ed25519 first
	files["config"] = []byte(config)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.files, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "sshd"), "-D", "-e", "-f", filepath.Join(dir, "config"))
	s.user = runAs(t, cmd, dir)
	startServer(t, cmd, s.address)
	s.cut = newCutter(t, s.address)
	return s
}

// runAs lets a command of root run as nobody, to whom the directory is given. It
// tells the user.
func runAs(t *testing.T, cmd *exec.Cmd, dir string) string {
	t.Helper()
	if os.Getuid() != 0 {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		return me.Username
	}
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	return "nobody"
}

func (s *sshd) ref(path string) string {
	return "sftp://" + s.user + "@" + s.cut.address + s.files + path
}

// home sets the home directory, with keys of the host and of the user.
func (s *sshd) home(t *testing.T, hosts []ssh.PublicKey, files map[string][]byte) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(files)
	if all == nil {
		all = make(map[string][]byte)
	}
	for _, key := range hosts {
		all["known_hosts"] = append(all["known_hosts"], knownhosts.Line([]string{knownhosts.Normalize(s.cut.address)}, key)+"\n"...)
	}
	for name, content := range all {
		if err := os.WriteFile(filepath.Join(home, ".ssh", name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// lets adds a user's key to those that are let in.
func (s *sshd) lets(t *testing.T, key ssh.PublicKey) {
	t.Helper()
	if err := os.WriteFile(s.keys, ssh.MarshalAuthorizedKey(key), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *sshd) write(t *testing.T, name string, content []byte) {
	t.Helper()
	file := filepath.Join(s.files, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// openError is the error of a server that does not let us in.
func openError(t *testing.T, text string) error {
	t.Helper()
	ref, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	src, err := Open(t.Context(), ref, Options{})
	if err == nil {
		_ = src.Close()
		t.Fatal("it was opened")
	}
	return err
}

func TestSFTP(t *testing.T) {
	s := startSSHD(t)
	key, keyFile := newKey(t, newEd25519(t), "")
	s.lets(t, key.PublicKey())
	kernel := noise(6, 3<<20)
	s.write(t, "boot/linux", kernel)
	s.write(t, "boot/sub dir/#1.gz", []byte("ramdisk"))
	for name, target := range map[string]string{"boot/link": "linux", "boot/out": "../../etc", "boot/sub dir/up": ".."} {
		if err := os.Symlink(target, filepath.Join(s.files, name)); err != nil {
			t.Fatal(err)
		}
	}
	withKey := map[string][]byte{"id_ed25519": keyFile}

	t.Run("a file", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		it := single(t, open(t, s.ref("/boot/linux"), Options{}))
		if it.Name != "linux" || it.Size != int64(len(kernel)) || it.ModTime.IsZero() || it.Version == "" {
			t.Errorf("got %+v", it)
		}
		for _, offset := range []int{0, 1, 2 << 20, len(kernel)} {
			wantBytes(t, it, offset, kernel)
		}
		wantBytes(t, single(t, open(t, s.ref("/boot/sub%20dir/%231.gz"), Options{})), 0, []byte("ramdisk"))
	})
	t.Run("a directory", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		items, refused := list(t, open(t, s.ref("/boot"), Options{}))
		got := make(map[string]string)
		for name, it := range items {
			got[name] = it.Link
		}
		if diff := cmp.Diff(map[string]string{"linux": "", "link": "linux", "sub dir/#1.gz": "", "sub dir/up": ".."}, got); diff != "" {
			t.Error(diff)
		}
		if err := refused["out"]; len(refused) != 1 || err == nil || !strings.Contains(err.Error(), "out: a link to ../../etc, which is outside") {
			t.Error(refused)
		}
		wantBytes(t, items["sub dir/#1.gz"], 0, []byte("ramdisk"))
	})
	t.Run("a directory with links followed", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		items, refused := list(t, open(t, s.ref("/boot/"), Options{FollowLinks: true}))
		wantBytes(t, items["link"], 0, kernel)
		if err := refused["sub dir/up"]; err == nil || !strings.Contains(err.Error(), "a link to a directory that it lies in") {
			t.Error(refused)
		}
	})
	t.Run("cut connections", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		wantBytesThroughCuts(t, single(t, open(t, s.ref("/boot/linux"), Options{})), s.cut, kernel)
	})
	t.Run("a file that changes", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		s.write(t, "log", kernel)
		it := single(t, open(t, s.ref("/log"), Options{}))
		s.cut.cutAfter(700_000)
		defer s.cut.cutAfter(0)
		r, err := it.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(s.files, "log"), time.Time{}, longAgo); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrChanged) {
			t.Error(err)
		}
	})
	t.Run("several readers at once", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		it := single(t, open(t, s.ref("/boot/linux"), Options{}))
		s.cut.cutAfter(2_000_000)
		defer s.cut.cutAfter(0)
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				r, err := it.Open(t.Context(), 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Close()
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, kernel) {
					t.Errorf("got %d bytes and %v", len(got), err)
				}
			})
		}
		readers.Wait()
	})
	t.Run("only the host's other key is known", func(t *testing.T) {
		s.home(t, s.hosts[1:], withKey)
		wantBytes(t, single(t, open(t, s.ref("/boot/linux"), Options{})), 0, kernel)
	})
	t.Run("a key of the agent", func(t *testing.T) {
		s.home(t, s.hosts[:1], nil)
		private, err := ssh.ParseRawPrivateKey(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("SSH_AUTH_SOCK", startAgent(t, private))
		wantBytes(t, single(t, open(t, s.ref("/boot/linux"), Options{})), 0, kernel)
	})
	t.Run("the host is unknown", func(t *testing.T) {
		s.home(t, nil, withKey)
		err := openError(t, s.ref("/boot"))
		host, port, _ := net.SplitHostPort(s.cut.address)
		if !strings.Contains(err.Error(), "the host key of ["+host+"]:"+port+" is unknown: ssh-ed25519 SHA256:") || !strings.Contains(hintOf(err), "ssh-keyscan -p "+port+" "+host+" >> ") {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
	})
	t.Run("the host has another key than it had", func(t *testing.T) {
		other, _ := newKey(t, newEd25519(t), "")
		s.home(t, []ssh.PublicKey{other.PublicKey()}, withKey)
		err := openError(t, s.ref("/boot"))
		if !strings.Contains(err.Error(), "known_hosts line 1: somebody may be in between") || !strings.Contains(hintOf(err), "ssh-keygen -f ") {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
	})
	t.Run("the user has no key", func(t *testing.T) {
		s.home(t, s.hosts[:1], nil)
		err := openError(t, strings.Replace(s.ref("/boot"), "@", ":hush@", 1))
		if !strings.HasSuffix(err.Error(), "the server lets user "+s.user+" in with none of the 0 keys found") || strings.Contains(err.Error(), "hush") {
			t.Error(err)
		}
	})
	t.Run("the key has a passphrase", func(t *testing.T) {
		_, locked := newKey(t, newEd25519(t), "hush")
		s.home(t, s.hosts[:1], map[string][]byte{"id_ed25519": locked})
		if err := openError(t, s.ref("/boot")); !strings.HasSuffix(hintOf(err), "id_ed25519 needs a passphrase: add it to the agent with ssh-add") {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
	})
	t.Run("the file is missing", func(t *testing.T) {
		s.home(t, s.hosts[:1], withKey)
		if err := listError(t, s.ref("/none")); !errors.Is(err, os.ErrNotExist) || err.Error() != s.ref("/none")+": file does not exist" {
			t.Error(err)
		}
	})
}

// startAgent runs an SSH agent with one key, and tells its socket.
func startAgent(t *testing.T, key any) string {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				_ = agent.ServeAgent(ring, c) // until the other end closes
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
		_ = os.RemoveAll(dir)
	})
	return l.Addr().String()
}
