package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"sync"
	"time"
)

// An UploadRequest says what is going to be stored.
type UploadRequest struct {
	Name   string    `json:"name"`
	Size   int64     `json:"size"`             // bytes; negative if it is not known
	SHA256 string    `json:"sha256,omitempty"` // that the content must have, hexadecimal; empty: anything
	From   string    `json:"from,omitempty"`   // where it comes from, for people
	If     Condition `json:"if,omitzero"`
	// Key says which content it is, in words of yours that differ for other content.
	// With one, an upload that breaks off is kept for a day, and gone on with by the
	// next one of the same name, size and key.
	Key string `json:"key,omitempty"`
}

// An Upload is content that arrives in pieces. It survives a restart of the daemon,
// and a day without a piece.
type Upload struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Size   int64     `json:"size"`   // bytes; negative if it is not known
	Offset int64     `json:"offset"` // bytes that are stored for certain; the next piece begins here
	Key    string    `json:"key,omitempty"`
	Began  time.Time `json:"began"`
}

// NewUpload begins an upload.
func (c *Client) NewUpload(ctx context.Context, q UploadRequest) (Upload, error) {
	var u Upload
	return u, c.call(ctx, http.MethodPost, "/v1/uploads", q, &u)
}

// Uploads are those that are open, the oldest first.
func (c *Client) Uploads(ctx context.Context) ([]Upload, error) {
	var list []Upload
	return list, c.call(ctx, http.MethodGet, "/v1/uploads", nil, &list)
}

// UploadStatus tells how far an upload is.
func (c *Client) UploadStatus(ctx context.Context, id string) (Upload, error) {
	var u Upload
	return u, c.call(ctx, http.MethodGet, uploadPath(id), nil, &u)
}

// Append adds what r has to an upload, at an offset that must be the upload's. What
// arrived before an error is stored: [Client.UploadStatus] tells where to go on.
func (c *Client) Append(ctx context.Context, id string, offset int64, r io.Reader) (Upload, error) {
	var u Upload
	resp, err := c.send(ctx, http.MethodPatch, uploadPath(id)+"?offset="+strconv.FormatInt(offset, 10), http.Header{"Content-Type": {octets}}, r)
	if err != nil {
		return u, err
	}
	return u, decode(resp, &u)
}

// CommitUpload gives an upload that is complete its name. What it replaces is kept
// as a version. A wrong sha256 is [ErrInvalid], and then the upload is gone.
func (c *Client) CommitUpload(ctx context.Context, id string) (FileInfo, error) {
	var i FileInfo
	return i, c.call(ctx, http.MethodPost, uploadPath(id)+"/commit", nil, &i)
}

// AbortUpload throws an upload away.
func (c *Client) AbortUpload(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, uploadPath(id), nil, nil)
}

func uploadPath(id string) string { return "/v1/uploads/" + url.PathEscape(id) }

// octets is the type of bytes that are nothing in particular.
const octets = "application/octet-stream"

const (
	// pieceBytes is how much of a source that cannot be read again is kept, to send it
	// again after a cut.
	pieceBytes = 8 << 20
	// maxCuts is how many times in a row an upload goes on after a cut that came before
	// a single byte was stored.
	maxCuts = 5
	// firstPause is how long it waits after the first; twice as long after each other.
	firstPause = 200 * time.Millisecond
)

// Put stores what r has, up to its end, and goes on by itself after a connection
// was cut, or the daemon was started anew. From an [io.ReadSeeker], which is read
// from where it stands, nothing is kept in memory; of any other reader 8 MiB are.
// Nobody sees the file before it is whole. If Put fails nothing was changed, and
// what was sent is thrown away as far as the daemon can be reached.
func (c *Client) Put(ctx context.Context, q UploadRequest, r io.Reader) (FileInfo, error) {
	return c.put(ctx, q, func(u Upload) error { return c.fill(ctx, u, r) })
}

// PutFrom is as Put, with content that open gives from any offset on. Its readers
// are closed.
func (c *Client) PutFrom(ctx context.Context, q UploadRequest, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) (FileInfo, error) {
	return c.put(ctx, q, func(u Upload) error {
		var last io.Closer
		err := c.fillFrom(ctx, u, func(off int64) (io.Reader, error) {
			if last != nil {
				_ = last.Close() // it was only read
			}
			r, err := open(ctx, off)
			if err != nil {
				return nil, err
			}
			last = r
			return r, nil
		})
		if last != nil {
			_ = last.Close()
		}
		return err
	})
}

// put begins an upload, or goes on with one that broke off, fills and commits it.
func (c *Client) put(ctx context.Context, q UploadRequest, fill func(Upload) error) (FileInfo, error) {
	u, err := c.beginOrResume(ctx, q)
	if err != nil {
		return FileInfo{}, err
	}
	if err := fill(u); err != nil {
		return FileInfo{}, c.abandon(ctx, u, err)
	}
	info, err := c.CommitUpload(ctx, u.ID)
	if err != nil {
		return info, c.abandon(ctx, u, err)
	}
	return info, nil
}

// beginOrResume is the upload to fill.
func (c *Client) beginOrResume(ctx context.Context, q UploadRequest) (Upload, error) {
	if q.Key != "" {
		open, err := c.Uploads(ctx)
		if err != nil {
			return Upload{}, err
		}
		for _, u := range open {
			if u.Key == q.Key && u.Size == q.Size && u.Name == path.Clean(q.Name) {
				return u, nil
			}
		}
	}
	return c.NewUpload(ctx, q)
}

// Resume goes on with an upload that another call began, with the rest of the same
// content, of which r stands at the beginning.
func (c *Client) Resume(ctx context.Context, id string, r io.ReadSeeker) (FileInfo, error) {
	u, err := c.UploadStatus(ctx, id)
	if err != nil {
		return FileInfo{}, err
	}
	if err := c.fill(ctx, u, r); err != nil {
		return FileInfo{}, err
	}
	return c.CommitUpload(ctx, id)
}

// abandon throws an upload away whose error is err, unless it broke off and can be
// gone on with, or somebody else goes on with it.
func (c *Client) abandon(ctx context.Context, u Upload, err error) error {
	var refused *Problem
	if u.Key != "" && (!errors.As(err, &refused) || refused.Status == http.StatusConflict) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = c.AbortUpload(ctx, u.ID) // it would expire by itself
	return err
}

// fill sends all that r has from the upload's offset on.
func (c *Client) fill(ctx context.Context, u Upload, r io.Reader) error {
	if s, ok := r.(io.ReadSeeker); ok {
		start, err := s.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		return c.fillFrom(ctx, u, func(off int64) (io.Reader, error) {
			_, err := s.Seek(start+off, io.SeekStart)
			return s, err
		})
	}
	piece := make([]byte, pieceBytes)
	for {
		n, err := io.ReadFull(r, piece)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		begin := u.Offset
		err = c.fillFrom(ctx, u, func(off int64) (io.Reader, error) {
			if off < begin || off > begin+int64(n) {
				return nil, fmt.Errorf("the daemon wants bytes from %d on, which are not here any more", off)
			}
			return bytes.NewReader(piece[off-begin : n]), nil
		})
		if err != nil || last {
			return err
		}
		u.Offset += int64(n)
	}
}

// fillFrom sends what from gives at an offset, up to its end, and goes on where it
// was cut.
func (c *Client) fillFrom(ctx context.Context, u Upload, from func(off int64) (io.Reader, error)) error {
	pause := firstPause
	for cuts := 0; ; {
		r, err := from(u.Offset)
		if err != nil {
			return err
		}
		body := &source{r: r}
		_, err = c.Append(ctx, u.ID, u.Offset, body)
		readErr := body.take()
		if err == nil {
			return nil
		}
		if readErr != nil || ctx.Err() != nil || isFinal(err) {
			return errors.Join(readErr, err)
		}
		now, statusErr := c.UploadStatus(ctx, u.ID)
		switch {
		case errors.Is(statusErr, ErrNotFound):
			return err
		case statusErr == nil && now.Offset > u.Offset:
			u, cuts, pause = now, 0, firstPause
			continue
		}
		if cuts++; cuts == maxCuts {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 2
		if statusErr == nil {
			u = now
		}
	}
}

// isFinal tells whether the daemon has refused a piece for good. One that begins
// elsewhere does not count, nor does an answer of a daemon that is just stopping.
func isFinal(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Offset == nil && (p.Status < http.StatusInternalServerError || p.Status == http.StatusInsufficientStorage)
}

// A source is what is sent. It keeps its own error apart from those of the
// connection, and can be taken from net/http, which may go on reading after it has
// told of an answer.
type source struct {
	mu  sync.Mutex // guards both
	r   io.Reader  // nil once it was taken
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// take waits for a Read under way, and lets no other follow. It returns the error
// that reading met.
func (s *source) take() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.r = nil
	return s.err
}

// Create begins a file that is stored when it is closed. ctx is that of all writes.
func (c *Client) Create(ctx context.Context, q UploadRequest) *Writer {
	r, w := io.Pipe()
	out := &Writer{pipe: w, done: make(chan struct{})}
	go func() {
		defer close(out.done)
		out.info, out.err = c.Put(ctx, q, r)
		_ = r.CloseWithError(out.err) // a writer that goes on gets it; it never fails
	}()
	return out
}

// A Writer is a file of the images that is being written. Nobody sees it before
// Close has returned nil. It belongs to one goroutine.
type Writer struct {
	pipe *io.PipeWriter
	done chan struct{} // closed when info and err are set
	info FileInfo
	err  error
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) { return w.pipe.Write(p) }

// Close stores the file, and returns when it would survive a power cut.
func (w *Writer) Close() error { return w.end(nil) }

// errAborted is why an aborted file is not stored.
var errAborted = errors.New("aborted")

// Abort throws away what was written. After Close it does nothing.
func (w *Writer) Abort() { _ = w.end(errAborted) }

func (w *Writer) end(err error) error {
	_ = w.pipe.CloseWithError(err) // it never fails
	<-w.done
	return w.err
}

// Info tells of the file that Close has stored.
func (w *Writer) Info() FileInfo { return w.info }
