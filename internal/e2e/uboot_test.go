//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netbootd/internal/e2e/lab"
)

// TestUBootFetchesWithEveryWindow loads a file into a board's memory with the
// block and window sizes that people set, and looks at what was granted.
func TestUBootFetchesWithEveryWindow(t *testing.T) {
	skipWithout(t, lab.RequireBoards())
	need(t, "dnsmasq")
	ctx, n := newNetwork(t)
	if _, err := n.StartSite(ctx, lab.Dnsmasq, nil); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	content := make([]byte, 3_000_001)
	if _, err := io.ReadFull(rand.NewChaCha8([32]byte{'u'}), content); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.images, "board.img"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	s.start(ctx, t)
	board := powerOnBoard(ctx, t, n)
	// It takes no boot server from a proxy.
	uboot(ctx, t, board, "setenv autoload no; dhcp; setenv serverip "+lab.BootAddr.String())
	want := fmt.Sprintf("==> %08x", crc32.ChecksumIEEE(content))
	for _, blksize := range []int{512, 1468} {
		for _, windowsize := range []int{1, 8, 16, 64} {
			ok := t.Run(fmt.Sprintf("blksize %d windowsize %d", blksize, windowsize), func(t *testing.T) {
				uboot(ctx, t, board, fmt.Sprintf("setenv tftpblocksize %d; setenv tftpwindowsize %d", blksize, windowsize))
				// An earlier fetch must not pass for this one.
				uboot(ctx, t, board, fmt.Sprintf("mw.b 0x40400000 0 %x; setenv filesize", len(content)))
				uboot(ctx, t, board, "tftpboot 0x40400000 board.img")
				if got := uboot(ctx, t, board, "crc32 0x40400000 ${filesize}"); !strings.HasSuffix(got, want) {
					t.Errorf("U-Boot says %q, want %q at the end", got, want)
				}
				delivered := regexp.MustCompile(fmt.Sprintf(`file delivered.* file=board\.img .*bytes=%d took=(\S+) blksize=%d windowsize=%d resent=(\d+)`,
					len(content), blksize, windowsize))
				m, err := s.proc.Stderr.WaitFor(ctx, delivered)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("took %s, resent %s", m[1], m[2])
			})
			if !ok {
				return // the board may be in any state
			}
		}
	}
}

func powerOnBoard(ctx context.Context, t *testing.T, n *lab.Network) *lab.Board {
	t.Helper()
	b, err := n.PowerOnBoard(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.PowerOff()
		if t.Failed() {
			t.Log(b.Process.Output())
		}
	})
	return b
}

// uboot runs a command at U-Boot's prompt and returns what it prints.
func uboot(ctx context.Context, t *testing.T, b *lab.Board, command string) string {
	t.Helper()
	out, err := b.Run(ctx, command)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}
