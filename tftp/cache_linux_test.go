package tftp

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// A numbered file has bytes that are the number of their chunk.
type numbered struct{}

func (numbered) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte((off + int64(i)) / chunkSize)
	}
	return len(p), nil
}

// A broken file can be read up to that byte.
type broken struct{ end int64 }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.end {
		return 0, io.ErrClosedPipe
	}
	return numbered{}.ReadAt(p, off)
}

// open gives a file of size bytes its place.
func open(c *cache, version any, size int64) *cachedFile {
	f, _ := c.open(version, "a", size, source{wire: numbered{}})
	return f
}

// load reads a chunk into the cache and unpins it.
func load(t *testing.T, c *cache, f *cachedFile, i int64) {
	t.Helper()
	if got := c.await(f, i, nil); got != read {
		t.Fatalf("chunk %d: got %v, want to be told to read it", i, got)
	}
	k, _, err := c.fill(f, i)
	if err != nil || k.data[0] != byte(i) {
		t.Fatalf("chunk %d: got %v, %v", i, k, err)
	}
	c.unpin(k)
}

// there lists the chunks of f that the cache has.
func there(f *cachedFile) (list []int64) {
	for i := range f.chunks {
		if f.chunks[i].Load() != nil {
			list = append(list, int64(i))
		}
	}
	return list
}

func TestCacheLetsGoWhatIsNotUsed(t *testing.T) {
	t.Parallel()
	c := newCache(3 * chunkSize)
	f := open(c, "v1", 5*chunkSize)
	for i := range int64(3) {
		load(t, c, f, i)
	}
	pinned := f.pin(0)
	for i := int64(3); i < 5; i++ {
		load(t, c, f, i)
	}
	if got := there(f); len(got) != 3 || got[0] != 0 || got[2] != 4 {
		t.Errorf("got chunks %v, want three with the pinned 0 and the last", got)
	}
	if pinned.data[0] != 0 || pinned.data[chunkSize-1] != 0 {
		t.Error("the pinned chunk has been used for something else")
	}
	c.unpin(pinned)
	if c.bytes != 3*chunkSize {
		t.Errorf("got %d bytes", c.bytes)
	}
}

func TestCacheSharesVersions(t *testing.T) {
	t.Parallel()
	c := newCache(8 * chunkSize)
	a, b := open(c, "v1", 10), open(c, "v1", 10)
	other, private := open(c, "v2", 10), open(c, nil, 10)
	if a != b || a == other || private == open(c, nil, 10) {
		t.Error("files are not shared by version alone")
	}
	load(t, c, a, 0)
	load(t, c, private, 0)
	c.close(a)
	c.close(b)
	c.close(private)
	if again := open(c, "v1", 10); again != a || again.pin(0) == nil {
		t.Error("the version is not there any more")
	}
	if private.pin(0) != nil || c.bytes != 10 {
		t.Errorf("a file without version stayed: %d bytes", c.bytes)
	}
	if c.close(other); c.files["v2"] != nil {
		t.Error("a file of which there is nothing is still on the index")
	}
}

func TestCacheDropsChangedFile(t *testing.T) {
	t.Parallel()
	c := newCache(8 * chunkSize)
	f, _ := c.open("v1", "a", 2*chunkSize, source{wire: broken{chunkSize}})
	load(t, c, f, 0)
	pinned := f.pin(0)
	one, two := new(flow), new(flow)
	if c.await(f, 1, one) != read || c.await(f, 1, two) != queued {
		t.Error("two read the same chunk")
	}
	_, waiting, err := c.fill(f, 1)
	if !errors.Is(err, io.ErrClosedPipe) || len(waiting) != 2 {
		t.Errorf("got %d waiting, %v", len(waiting), err)
	}
	if f.pin(0) != nil || c.bytes != 0 {
		t.Errorf("chunks stayed: %d bytes", c.bytes)
	}
	if !bytes.Equal(pinned.data, make([]byte, chunkSize)) {
		t.Error("the pinned chunk has changed")
	}
	if open(c, "v1", 2*chunkSize) == f {
		t.Error("the next open got the file that changed")
	}
}

func TestCacheForgetsLargeFileOfOneReader(t *testing.T) {
	t.Parallel()
	c := newCache(4 * chunkSize)
	large, small := open(c, "large", 3*chunkSize), open(c, "small", 10)
	load(t, c, large, 0)
	load(t, c, small, 0)
	second := open(c, "large", 3*chunkSize)
	c.passed(large, 0)
	c.passed(small, 0)
	if len(there(large)) != 1 || len(there(small)) != 1 {
		t.Error("chunks left that others may want")
	}
	c.close(second)
	if c.passed(large, 0); len(there(large)) != 0 {
		t.Error("a chunk of a large file stayed without another reader")
	}
}
