package source

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshDir is where a user's keys are. A service may have no HOME.
func sshDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = string(filepath.Separator)
		if me, err := user.Current(); err == nil {
			home = me.HomeDir
		}
	}
	return filepath.Join(home, ".ssh")
}

// keyFiles are those that ssh tries by default, as far as they work without a
// device.
var keyFiles = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// keys are what a user can be known by: those of the agent and those of files.
type keys struct {
	found  []ssh.Signer
	locked []string  // files that need a passphrase
	agent  io.Closer // nil if there is none
}

// findKeys looks for keys. What cannot be read is no key.
func findKeys() *keys {
	var k keys
	if socket := os.Getenv("SSH_AUTH_SOCK"); socket != "" {
		k.askAgent(socket)
	}
	for _, name := range keyFiles {
		k.read(filepath.Join(sshDir(), name))
	}
	return &k
}

func (k *keys) askAgent(socket string) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	k.agent = conn
	k.found, _ = agent.NewClient(conn).Signers() // none on an error
}

// read adds the key of a file, unless the agent has it: a server counts how many
// it is shown.
func (k *keys) read(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	signer, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		if locked.PublicKey == nil || !k.has(locked.PublicKey) {
			k.locked = append(k.locked, file)
		}
	case err == nil && !k.has(signer.PublicKey()):
		k.found = append(k.found, signer)
	}
}

func (k *keys) has(key ssh.PublicKey) bool {
	return slices.ContainsFunc(k.found, func(s ssh.Signer) bool {
		return string(s.PublicKey().Marshal()) == string(key.Marshal())
	})
}

func (k *keys) signers() ([]ssh.Signer, error) { return k.found, nil }

func (k *keys) close() {
	if k.agent != nil {
		_ = k.agent.Close() // it was only asked
	}
}

// refused is the error for a server that accepts none of the keys.
func (k *keys) refused(user string) error {
	hint := "add a key that the server knows to the agent (ssh-add), or put it into " + filepath.Join(sshDir(), keyFiles[0])
	if len(k.locked) > 0 {
		hint = strings.Join(k.locked, ", ") + " needs a passphrase: add it to the agent with ssh-add"
	}
	return &Error{fmt.Errorf("the server lets user %s in with none of the %d keys found", user, len(k.found)), hint}
}

// A hostCheck compares the key that a host shows with those known.
type hostCheck struct {
	address string // host and port
	files   []string
	known   ssh.HostKeyCallback
	refused error // why the last key was refused
}

// readKnownHosts reads the user's and the host's list.
func readKnownHosts(address string) (*hostCheck, error) {
	h := &hostCheck{address: address}
	for _, f := range []string{filepath.Join(sshDir(), "known_hosts"), "/etc/ssh/ssh_known_hosts"} {
		if _, err := os.Stat(f); err == nil {
			h.files = append(h.files, f)
		}
	}
	var err error
	h.known, err = knownhosts.New(h.files...)
	return h, err
}

// check is an ssh.HostKeyCallback.
func (h *hostCheck) check(address string, remote net.Addr, key ssh.PublicKey) error {
	err := h.known(address, remote, key)
	if err != nil {
		h.refused = h.explain(err, key)
	}
	return err
}

func (h *hostCheck) explain(err error, key ssh.PublicKey) error {
	name := knownhosts.Normalize(h.address)
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	var differs *knownhosts.KeyError
	switch {
	case errors.As(err, &differs) && len(differs.Want) == 0:
		host, port, _ := net.SplitHostPort(h.address)
		return &Error{
			Err: fmt.Errorf("the host key of %s is unknown: %s", name, shown),
			Hint: fmt.Sprintf("compare it with what ssh-keygen -lf says there of /etc/ssh/ssh_host_*_key.pub, then add it: ssh-keyscan -p %s %s >> %s",
				port, host, filepath.Join(sshDir(), "known_hosts")),
		}
	case errors.As(err, &differs):
		want := differs.Want[0]
		return &Error{
			Err:  fmt.Errorf("the host key of %s is another one (%s) than that of %s line %d: somebody may be in between", name, shown, want.Filename, want.Line),
			Hint: fmt.Sprintf("if the host was set up anew, remove the old key: ssh-keygen -f %s -R '%s'", want.Filename, name),
		}
	}
	return fmt.Errorf("the host key of %s is refused: %w", name, err)
}

// algorithms puts those first of which a key of the host is known: of its keys a
// server shows the one that the client likes best.
func (h *hostCheck) algorithms() []string {
	all := ssh.SupportedAlgorithms().HostKeys
	var differs *knownhosts.KeyError
	if !errors.As(h.known(h.address, &net.TCPAddr{}, noKey{}), &differs) {
		return all
	}
	var first []string
	for _, k := range differs.Want {
		if isAuthority(k) {
			return all // certificates are in front
		}
		if k.Key.Type() == ssh.KeyAlgoRSA {
			first = append(first, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			first = append(first, k.Key.Type())
		}
	}
	first = append(first, ssh.KeyAlgoED25519) // as ssh does, so that fingerprints are alike
	for _, a := range all {
		if !slices.Contains(first, a) {
			first = append(first, a)
		}
	}
	return first
}

// isAuthority tells whether a line is about who signs keys, and no host's key.
func isAuthority(k knownhosts.KnownKey) bool {
	b, err := os.ReadFile(k.Filename)
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	return k.Line <= len(lines) && strings.HasPrefix(strings.TrimSpace(lines[k.Line-1]), "@cert-authority")
}

// noKey is a key that no host has: asked about it, the list tells those known.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }
