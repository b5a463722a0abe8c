package control

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A slowUploader has an append that ends with its body.
type slowUploader struct {
	Uploader
	began  chan struct{}
	ended  chan error
	offset int64
}

func (u *slowUploader) Append(_ context.Context, _ string, offset int64, r io.Reader) (Upload, error) {
	if offset == 0 {
		close(u.began)
		_, err := io.Copy(io.Discard, r)
		u.offset = 5
		u.ended <- err
		return Upload{}, err
	}
	return Upload{Offset: u.offset}, nil
}

func (u *slowUploader) CommitUpload(context.Context, string) (FileInfo, error) {
	return FileInfo{Name: "a"}, nil
}

// A request about an upload does not meet the one before it, whose connection may be
// dead without anybody having noticed.
func TestARequestAboutAnUploadEndsTheOneBefore(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]struct{ method, path, want string }{
		"goes on":   {http.MethodPatch, "/v1/uploads/u?offset=1", `"offset":5`},
		"completes": {http.MethodPost, "/v1/uploads/u/commit", `"name":"a"`},
	} {
		u := &slowUploader{began: make(chan struct{}), ended: make(chan error, 1)}
		s := httptest.NewServer((&API{uploadRoutes(u)}).Local())
		t.Cleanup(s.Close)
		ask := func(method, path string, body io.Reader) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
			if err != nil {
				t.Error(err)
				return 0, ""
			}
			resp, err := s.Client().Do(r)
			if err != nil {
				return 0, err.Error()
			}
			defer func() { _ = resp.Body.Close() }()
			b, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(b)
		}
		silent, w := io.Pipe()
		t.Cleanup(func() { _ = w.Close() })
		first := make(chan string, 1)
		go func() {
			_, text := ask(http.MethodPatch, "/v1/uploads/u?offset=0", silent)
			first <- text
		}()
		<-u.began
		if code, text := ask(next.method, next.path, http.NoBody); code/100 != 2 || !strings.Contains(text, next.want) {
			t.Errorf("%s: %d %s", name, code, text)
		}
		if err := <-u.ended; err == nil {
			t.Errorf("%s: half of a body passed for a whole one", name)
		}
		_ = w.Close()
		if text := <-first; !strings.Contains(text, "another request") {
			t.Errorf("%s: the first is told %q", name, text)
		}
	}
}
