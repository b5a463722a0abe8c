//go:build linux

package e2e_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"netbootd/internal/e2e/lab"
)

const mib = 1 << 20

// noBlksize stands for a fetch in which the client is told no block size and
// uses the 512 bytes of RFC 1350.
const noBlksize = 0

// A tftpClient is a stock TFTP client.
type tftpClient struct {
	name    string
	program string
	// args are those to fetch remote into local; blksize may be noBlksize.
	args func(remote, local string, blksize int) []string
	// onlyNoBlksize: it cannot ask for a block size.
	onlyNoBlksize bool
}

var tftpClients = []tftpClient{
	{name: "tftp-hpa", program: "tftp", onlyNoBlksize: true, args: func(remote, local string, _ int) []string {
		return []string{"-m", "binary", lab.BootAddr.String(), "-c", "get", remote, local}
	}},
	{name: "curl", program: "curl", args: func(remote, local string, blksize int) []string {
		args := []string{"--silent", "--show-error", "--output", local, tftpURL(remote)}
		if blksize != noBlksize {
			args = append(args, "--tftp-blksize", strconv.Itoa(blksize))
		}
		return args
	}},
	{name: "atftp", program: "atftp", args: func(remote, local string, blksize int) []string {
		args := []string{"--get", "--remote-file", remote, "--local-file", local, lab.BootAddr.String()}
		if blksize != noBlksize {
			args = append([]string{"--option", fmt.Sprintf("blksize %d", blksize)}, args...)
		}
		return args
	}},
	{name: "busybox", program: "busybox", args: func(remote, local string, blksize int) []string {
		args := []string{"tftp", "-g", "-r", remote, "-l", local}
		if blksize != noBlksize {
			args = append(args, "-b", strconv.Itoa(blksize))
		}
		return append(args, lab.BootAddr.String())
	}},
}

func tftpURL(name string) string { return fmt.Sprintf("tftp://%s/%s", lab.BootAddr, name) }

// At 512 bytes a block, 64 MiB need 131,072 blocks: the 16-bit number wraps
// twice.
var fetches = []struct{ size, blksize int }{
	{0, noBlksize}, {1, noBlksize}, {511, noBlksize}, {512, noBlksize}, {513, noBlksize},
	{64 * mib, noBlksize},
	{1428, 1428}, {100 * mib, 1428},
}

func TestStockTFTPClientsGetWholeFiles(t *testing.T) {
	for _, client := range tftpClients {
		t.Run(client.name, func(t *testing.T) {
			need(t, client.program)
			ctx, s := newFileServer(t)
			for _, f := range fetches {
				if client.onlyNoBlksize && f.blksize != noBlksize {
					continue
				}
				if client.name == "curl" && f.size == 0 {
					continue // has a test of its own
				}
				local := filepath.Join(t.TempDir(), "got")
				args := client.args(fileName(f.size), local, f.blksize)
				if code, out := inClient(ctx, t, s, client.program, args...); code != 0 {
					t.Errorf("%d bytes, blksize %d: exit code %d: %s", f.size, f.blksize, code, out)
				}
				if got, want := hashOf(t, local), hashOf(t, filepath.Join(s.images, fileName(f.size))); got != want {
					t.Errorf("%d bytes, blksize %d: sha256 is %s, want %s", f.size, f.blksize, got, want)
				}
				os.Remove(local) // it is in memory
			}
		})
	}
}

// Of the stock clients only atftp asks for windows.
func TestAtftpGetsWindows(t *testing.T) {
	need(t, "atftp")
	ctx, s := newFileServer(t)
	const size = 64 * mib
	local := filepath.Join(t.TempDir(), "got")
	for _, windowsize := range []int{2, 16} {
		code, out := inClient(ctx, t, s, "atftp", "--option", "blksize 1428", "--option", fmt.Sprintf("windowsize %d", windowsize),
			"--get", "--remote-file", fileName(size), "--local-file", local, lab.BootAddr.String())
		if code != 0 {
			t.Errorf("windowsize %d: exit code %d: %s", windowsize, code, out)
			continue
		}
		if got, want := hashOf(t, local), hashOf(t, filepath.Join(s.images, fileName(size))); got != want {
			t.Errorf("windowsize %d: sha256 is %s, want %s", windowsize, got, want)
		}
		delivered := regexp.MustCompile(fmt.Sprintf(`file delivered.* bytes=%d took=(\S+) blksize=1428 windowsize=%d resent=(\d+)`, size, windowsize))
		m, err := s.proc.Stderr.WaitFor(ctx, delivered)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("windowsize %d: took %s, resent %s", windowsize, m[1], m[2])
		os.Remove(local) // it is in memory
	}
}

func TestCurlAndTheEmptyFile(t *testing.T) {
	need(t, "curl")
	ctx, s := newFileServer(t)
	local := filepath.Join(t.TempDir(), "got")
	code, out := inClient(ctx, t, s, "curl", "--silent", "--show-error", "--tftp-no-options", "--output", local, tftpURL(fileName(0)))
	if code != 0 {
		t.Errorf("without options: exit code %d: %s", code, out)
	}
	if info, err := os.Stat(local); err == nil && info.Size() != 0 {
		t.Errorf("without options: got %d bytes, want none", info.Size())
	}
	// curl 7.88 takes the tsize of 0 that RFC 2349 demands for a broken one. If
	// this fails, curl has learnt better and the row can go.
	const tftpIllegal = 71
	code, out = inClient(ctx, t, s, "curl", "--silent", "--show-error", "--output", local, tftpURL(fileName(0)))
	if code != tftpIllegal {
		t.Errorf("with options: exit code %d, want the known %d: %s", code, tftpIllegal, out)
	}
}

// inClient runs a program at the client place to its end.
func inClient(ctx context.Context, t *testing.T, s *server, program string, args ...string) (code int, output []byte) {
	t.Helper()
	cmd := s.net.Command(ctx, lab.ClientPlace, program, args...)
	output, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), output
}

// newFileServer starts a netbootd that serves the files of all fetches.
func newFileServer(t *testing.T) (context.Context, *server) {
	t.Helper()
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	dir, err := makeFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fetches {
		if _, err := os.Stat(filepath.Join(s.images, fileName(f.size))); err != nil {
			s.link(t, filepath.Join(dir, fileName(f.size)), fileName(f.size))
		}
	}
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	s.start(ctx, t)
	return ctx, s
}

func fileName(size int) string { return fmt.Sprintf("bytes-%d", size) }

// makeFiles writes the files of all fetches once, with the same content in
// every run.
var makeFiles = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "files-")
	if err != nil {
		return "", err
	}
	for _, f := range fetches {
		content := make([]byte, f.size)
		if _, err := io.ReadFull(rand.NewChaCha8([32]byte{byte(f.size)}), content); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, fileName(f.size)), content, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// hashOf is a file's sha256, or says what is wrong with it.
func hashOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestStockTFTPClientsWriteWholeFiles lets boards, played by stock clients, write
// logs: what is allowed is stored whole, what is not is refused.
func TestStockTFTPClientsWriteWholeFiles(t *testing.T) {
	need(t, "tftp", "curl", "atftp", "busybox")
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	writeFile(t, s.config, s.settings("eth0")+"[tftp.write]\ndir = \"written\"\nallow = [\"198.18.0.0/24\"]\nquota = 10000000\n")
	s.start(ctx, t)
	local := filepath.Join(t.TempDir(), "log")
	content := make([]byte, 3_000_001)
	if _, err := io.ReadFull(rand.NewChaCha8([32]byte{'w'}), content); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(local, content, 0o644); err != nil {
		t.Fatal(err)
	}
	server := lab.BootAddr.String()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"curl", []string{"curl", "--silent", "--show-error", "--upload-file", local, tftpURL("logs/curl")}},
		{"atftp", []string{"atftp", "--option", "blksize 1428", "--put", "--local-file", local, "--remote-file", "logs/atftp", server}},
		{"busybox", []string{"busybox", "tftp", "-p", "-b", "1428", "-l", local, "-r", "logs/busybox", server}},
	} {
		if code, out := inClient(ctx, t, s, c.args[0], c.args[1:]...); code != 0 {
			t.Errorf("%s: exit code %d: %s", c.name, code, out)
			continue
		}
		if got, want := hashOf(t, filepath.Join(s.dir, "written/logs", c.name)), hashOf(t, local); got != want {
			t.Errorf("%s: sha256 is %s, want %s", c.name, got, want)
		}
	}
	if code, out := inClient(ctx, t, s, "curl", "--silent", "--show-error", "--upload-file", local, tftpURL("logs/curl")); code == 0 {
		t.Errorf("a file was overwritten: %s", out)
	}
	if code, out := inClient(ctx, t, s, "curl", "--silent", "--show-error", "--upload-file", local, tftpURL("one-too-many")); code == 0 {
		t.Errorf("more than the quota was stored: %s", out)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "written/.partial*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
