package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// impatient tries again at once.
var impatient = Retry{Pause: 1}

// program is the path of a program that "make unit" puts below build.
func program(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("../../build", name))
	if err == nil {
		_, err = os.Stat(file)
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skipf("%v: make unit puts it there", err)
	}
	return file
}

// noise makes bytes that are nowhere alike.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	c := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = c.Read(b) // never fails
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// open parses and opens a reference that works.
func open(t *testing.T, text string, o Options) *Source {
	t.Helper()
	ref, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if o.Retry == (Retry{}) {
		o.Retry = impatient
	}
	src, err := Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// list gives the items of a source, and the error of each name.
func list(t *testing.T, src *Source) (items map[string]Item, refused map[string]error) {
	t.Helper()
	items, refused = make(map[string]Item), make(map[string]error)
	for it, err := range src.Items(t.Context()) {
		if err != nil {
			refused[it.Name] = err
			continue
		}
		items[it.Name] = it
	}
	return items, refused
}

// single gives the only item of a source.
func single(t *testing.T, src *Source) Item {
	t.Helper()
	items, refused := list(t, src)
	if len(items) != 1 || len(refused) != 0 {
		t.Fatalf("got %v and %v, want one item", items, refused)
	}
	for _, it := range items {
		return it
	}
	return Item{}
}

// wantBytes reads an item from an offset on.
func wantBytes(t *testing.T, it Item, offset int, want []byte) {
	t.Helper()
	r, err := it.Open(t.Context(), int64(offset))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want[offset:]) {
		t.Fatalf("from %d on got %d bytes %.12x..., want %d bytes %.12x...", offset, len(got), sum(got), len(want)-offset, sum(want[offset:]))
	}
}

// readError reads an item that cannot be read to its end.
func readError(t *testing.T, it Item) error {
	t.Helper()
	r, err := it.Open(t.Context(), 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	_ = r.Close() // it has failed already
	if err == nil {
		t.Fatal("it was read to its end")
	}
	return err
}

// hintOf gives the hint of an error, or "".
func hintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// wantBytesThroughCuts reads an item while its connections are cut.
func wantBytesThroughCuts(t *testing.T, it Item, cut *cutter, want []byte) {
	t.Helper()
	cut.cutAfter(700_000)
	defer cut.cutAfter(0)
	before := cut.count()
	wantBytes(t, it, 0, want)
	if n := cut.count() - before; n < 4 {
		t.Errorf("only %d cuts", n)
	}
}

// A cutter passes TCP connections on to a server, and cuts each one after so
// many bytes of the server.
type cutter struct {
	address string

	mu    sync.Mutex // guards what follows
	limit int64      // for each connection; 0 lets all pass
	cuts  int        // so far
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: l.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { c.pass(t, client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return c
}

func (c *cutter) cutAfter(limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = limit
}

func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

func (c *cutter) pass(t *testing.T, client net.Conn, server string) {
	defer client.Close()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(conn, client)
		_ = conn.Close()
	})
	buf := make([]byte, 16<<10)
	for passed := int64(0); ; {
		n, err := conn.Read(buf)
		c.mu.Lock()
		limit := c.limit
		cut := limit > 0 && passed+int64(n) > limit
		if cut {
			c.cuts++
			n = int(max(0, limit-passed))
		}
		c.mu.Unlock()
		passed += int64(n)
		_, werr := client.Write(buf[:n])
		if err != nil || werr != nil || cut {
			break
		}
	}
	_ = client.Close()
	up.Wait()
}

// awaitPort waits until a server that was started accepts connections, or died.
func awaitPort(t *testing.T, address string, died <-chan error) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-died:
			t.Fatal("the server ended: ", err)
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddress is one on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
