package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"netbootd/client"
)

// The types of the calls about images.
type (
	FileInfo        = client.FileInfo
	FileVersion     = client.FileVersion
	FileHash        = client.FileHash
	PlaceRequest    = client.PlaceRequest
	RollbackRequest = client.RollbackRequest
	LinkRequest     = client.LinkRequest
	UploadRequest   = client.UploadRequest
	Upload          = client.Upload
	Condition       = client.Condition
)

// Files are the images. All methods may wait for the disk. by is who asks, for
// people; what is changed is on disk when they return.
type Files interface {
	Stat(name string) (FileInfo, error)
	List(ctx context.Context, dir string, recursive bool) ([]FileInfo, error)
	Hash(ctx context.Context, name, algorithm string) (FileHash, error)
	OpenFile(name string) (Content, error)
	PutFile(ctx context.Context, by string, q UploadRequest, r io.Reader) (FileInfo, error)
	CopyFile(ctx context.Context, by string, q PlaceRequest) (FileInfo, error)
	RenameFile(ctx context.Context, q PlaceRequest) (FileInfo, error)
	RemoveFile(name string, recursive bool) error
	Mkdir(name string) error
	Symlink(q LinkRequest) error
	Versions(name string) ([]FileVersion, error)
	PruneVersions(name string, keep int) error
	Rollback(ctx context.Context, q RollbackRequest) (FileInfo, error)
}

// Uploader takes files that arrive in pieces.
type Uploader interface {
	NewUpload(ctx context.Context, by string, q UploadRequest) (Upload, error)
	Uploads() []Upload
	UploadStatus(id string) (Upload, error)
	// Append adds what r has, up to its end.
	Append(ctx context.Context, id string, offset int64, r io.Reader) (Upload, error)
	CommitUpload(ctx context.Context, id string) (FileInfo, error)
	AbortUpload(id string) error
}

// A Content is a file that is open.
type Content interface {
	io.ReadSeekCloser
	Modified() time.Time
	// Tag differs for files of other bytes: the sha256 in hexadecimal where it is
	// known.
	Tag() string
}

// handleFiles adds the calls about images.
func handleFiles(mux *http.ServeMux, d Files) {
	const file = "/v1/files/{path...}"
	mux.HandleFunc("GET "+file, func(w http.ResponseWriter, r *http.Request) {
		f, err := d.OpenFile(r.PathValue("path"))
		if err != nil {
			answer(w, nil, err)
			return
		}
		defer func() { _ = f.Close() }() // it was only read
		serveContent(w, r, f)
	})
	mux.HandleFunc("PUT "+file, func(w http.ResponseWriter, r *http.Request) {
		q, err := uploadOf(r)
		if err != nil {
			answer(w, nil, err)
			return
		}
		i, err := d.PutFile(r.Context(), caller(r), q, r.Body)
		answer(w, i, err)
	})
	mux.HandleFunc("DELETE "+file, done(func(r *http.Request) error {
		recursive, err := flag(r, "recursive")
		if err != nil {
			return err
		}
		return d.RemoveFile(r.PathValue("path"), recursive)
	}))
	mux.HandleFunc("GET /v1/store/stat/{path...}", told(func(r *http.Request) (FileInfo, error) {
		return d.Stat(r.PathValue("path"))
	}))
	mux.HandleFunc("GET /v1/store/list/{path...}", told(func(r *http.Request) ([]FileInfo, error) {
		recursive, err := flag(r, "recursive")
		if err != nil {
			return nil, err
		}
		return d.List(r.Context(), r.PathValue("path"), recursive)
	}))
	mux.HandleFunc("GET /v1/store/hash/{path...}", told(func(r *http.Request) (FileHash, error) {
		return d.Hash(r.Context(), r.PathValue("path"), r.URL.Query().Get("algorithm"))
	}))
	mux.HandleFunc("POST /v1/store/mkdir/{path...}", done(func(r *http.Request) error {
		return d.Mkdir(r.PathValue("path"))
	}))
	mux.HandleFunc("POST /v1/store/copy", asked(func(r *http.Request, q PlaceRequest) (FileInfo, error) {
		return d.CopyFile(r.Context(), caller(r), q)
	}))
	mux.HandleFunc("POST /v1/store/rename", asked(func(r *http.Request, q PlaceRequest) (FileInfo, error) {
		return d.RenameFile(r.Context(), q)
	}))
	mux.HandleFunc("POST /v1/store/symlink", asked(func(_ *http.Request, q LinkRequest) (struct{}, error) {
		return struct{}{}, d.Symlink(q)
	}))
	mux.HandleFunc("POST /v1/store/rollback", asked(func(r *http.Request, q RollbackRequest) (FileInfo, error) {
		return d.Rollback(r.Context(), q)
	}))
	mux.HandleFunc("GET /v1/store/versions/{path...}", told(func(r *http.Request) ([]FileVersion, error) {
		return d.Versions(r.PathValue("path"))
	}))
	mux.HandleFunc("DELETE /v1/store/versions/{path...}", done(func(r *http.Request) error {
		keep, err := number(r, "keep")
		if err != nil {
			return err
		}
		return d.PruneVersions(r.PathValue("path"), int(keep))
	}))
}

// handleUploads adds the calls about uploads.
func handleUploads(mux *http.ServeMux, d Uploader) {
	var t turns
	mux.HandleFunc("GET /v1/uploads", told(func(*http.Request) ([]Upload, error) { return d.Uploads(), nil }))
	mux.HandleFunc("POST /v1/uploads", asked(func(r *http.Request, q UploadRequest) (Upload, error) {
		return d.NewUpload(r.Context(), caller(r), q)
	}))
	mux.HandleFunc("GET /v1/uploads/{id}", told(func(r *http.Request) (Upload, error) { return d.UploadStatus(r.PathValue("id")) }))
	mux.HandleFunc("PATCH /v1/uploads/{id}", t.inTurn(told(func(r *http.Request) (Upload, error) {
		offset, err := number(r, "offset")
		if err != nil {
			return Upload{}, err
		}
		return d.Append(r.Context(), r.PathValue("id"), offset, r.Body)
	})))
	mux.HandleFunc("POST /v1/uploads/{id}/commit", t.inTurn(told(func(r *http.Request) (FileInfo, error) {
		return d.CommitUpload(r.Context(), r.PathValue("id"))
	})))
	// Not in turn: whoever was cut off must not throw away what another goes on with.
	mux.HandleFunc("DELETE /v1/uploads/{id}", done(func(r *http.Request) error { return d.AbortUpload(r.PathValue("id")) }))
}

// serveContent answers with the bytes of a file, or a range of them (RFC 9110
// section 14).
func serveContent(w http.ResponseWriter, r *http.Request, f Content) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff") // a page of somebody's images is not one of ours
	h.Set("ETag", strconv.Quote(f.Tag()))
	http.ServeContent(w, r, "", f.Modified(), f)
}

// uploadOf reads what the headers of a PUT say of the file in its body: the
// conditions of RFC 9110 section 13, and the sum that the content must have.
func uploadOf(r *http.Request) (UploadRequest, error) {
	q := UploadRequest{
		Name: r.PathValue("path"), Size: r.ContentLength,
		SHA256: r.URL.Query().Get("sha256"), From: r.URL.Query().Get("from"),
	}
	if tag := r.Header.Get("If-Match"); tag != "" {
		sum, err := strconv.Unquote(tag)
		if err != nil {
			return q, Invalid(fmt.Sprintf("If-Match: %q is not one entity tag, want a sha256 in double quotes", tag))
		}
		q.If.SHA256 = sum
	}
	if tag := r.Header.Get("If-None-Match"); tag != "" {
		if tag != "*" {
			return q, Invalid(fmt.Sprintf("If-None-Match: %q, want *, for a file that is not there yet", tag))
		}
		q.If.Absent = true
	}
	return q, nil
}
