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

// fileRoutes are the calls about images.
func fileRoutes(d Files) []route {
	const file, store = "/v1/files/{path...}", "/v1/store/"
	recursive := parameter{"recursive", "boolean", "With all that is below."}
	return []route{
		{
			method: "GET", path: file, scope: ScopeRead, does: "The bytes of a file, or a range of them.", body: bytes,
			serve: func(w http.ResponseWriter, r *http.Request) {
				f, err := d.OpenFile(r.PathValue("path"))
				if err != nil {
					answer(w, nil, err)
					return
				}
				defer func() { _ = f.Close() }() // it was only read
				serveContent(w, r, f)
			},
		},
		putRoute(d, file),
		done("DELETE", file, ScopeUpload, "Remove a file, an empty directory or, if asked to, a whole one.",
			func(r *http.Request) error {
				recursive, err := flag(r, "recursive")
				if err != nil {
					return err
				}
				return d.RemoveFile(r.PathValue("path"), recursive)
			}, recursive),
		told("GET", store+"stat/{path...}", ScopeRead, "What is known of a file or a directory.",
			func(r *http.Request) (FileInfo, error) { return d.Stat(r.PathValue("path")) }),
		told("GET", store+"list/{path...}", ScopeRead, "What is in a directory.",
			func(r *http.Request) ([]FileInfo, error) {
				recursive, err := flag(r, "recursive")
				if err != nil {
					return nil, err
				}
				return d.List(r.Context(), r.PathValue("path"), recursive)
			}, recursive),
		told("GET", store+"hash/{path...}", ScopeRead, "The hash of a file.",
			func(r *http.Request) (FileHash, error) {
				return d.Hash(r.Context(), r.PathValue("path"), r.URL.Query().Get("algorithm"))
			}, parameter{"algorithm", "string", "sha256, sha512, md5 or crc32."}),
		done("POST", store+"mkdir/{path...}", ScopeUpload, "Make a directory, and those above it.",
			func(r *http.Request) error { return d.Mkdir(r.PathValue("path")) }),
		asked("POST", store+"copy", ScopeUpload, "Store a file under another name too.",
			func(r *http.Request, q PlaceRequest) (FileInfo, error) { return d.CopyFile(r.Context(), caller(r), q) }),
		asked("POST", store+"rename", ScopeUpload, "Move a file, a link or a directory.",
			func(r *http.Request, q PlaceRequest) (FileInfo, error) { return d.RenameFile(r.Context(), q) }),
		asked("POST", store+"symlink", ScopeUpload, "Make a symbolic link.",
			func(_ *http.Request, q LinkRequest) (struct{}, error) { return struct{}{}, d.Symlink(q) }),
		asked("POST", store+"rollback", ScopeUpload, "Give a version its name back.",
			func(r *http.Request, q RollbackRequest) (FileInfo, error) { return d.Rollback(r.Context(), q) }),
		told("GET", store+"versions/{path...}", ScopeRead, "The files that others have replaced under a name.",
			func(r *http.Request) ([]FileVersion, error) { return d.Versions(r.PathValue("path")) }),
		done("DELETE", store+"versions/{path...}", ScopeUpload, "Remove versions.",
			func(r *http.Request) error {
				keep, err := number(r, "keep")
				if err != nil {
					return err
				}
				return d.PruneVersions(r.PathValue("path"), int(keep))
			}, parameter{"keep", "integer", "How many of the newest stay."}),
	}
}

// putRoute stores the bytes of the body, in one request.
func putRoute(d Files, path string) route {
	r := told("PUT", path, ScopeUpload, "Store a file: the body. If-Match and If-None-Match are obeyed.",
		func(r *http.Request) (FileInfo, error) {
			q, err := uploadOf(r)
			if err != nil {
				return FileInfo{}, err
			}
			return d.PutFile(r.Context(), caller(r), q, r.Body)
		},
		parameter{"sha256", "string", "That the bytes must have, in hexadecimal."},
		parameter{"from", "string", "Where they are from, for people."})
	r.raw = true
	return r
}

// uploadRoutes are the calls about uploads.
func uploadRoutes(d Uploader) []route {
	const path = "/v1/uploads/{id}"
	var t turns
	return []route{
		told("GET", "/v1/uploads", ScopeRead, "The uploads that are not complete.",
			func(*http.Request) ([]Upload, error) { return d.Uploads(), nil }),
		asked("POST", "/v1/uploads", ScopeUpload, "Begin an upload.",
			func(r *http.Request, q UploadRequest) (Upload, error) { return d.NewUpload(r.Context(), caller(r), q) }),
		told("GET", path, ScopeRead, "How far an upload is.",
			func(r *http.Request) (Upload, error) { return d.UploadStatus(r.PathValue("id")) }),
		appendRoute(d, &t, path),
		t.inTurn(told("POST", path+"/commit", ScopeUpload, "Give a complete upload its name.",
			func(r *http.Request) (FileInfo, error) { return d.CommitUpload(r.Context(), r.PathValue("id")) })),
		// Not in turn: whoever was cut off must not throw away what another goes on with.
		done("DELETE", path, ScopeUpload, "Throw an upload away.",
			func(r *http.Request) error { return d.AbortUpload(r.PathValue("id")) }),
	}
}

// appendRoute adds the bytes of the body to an upload.
func appendRoute(d Uploader, t *turns, path string) route {
	r := told("PATCH", path, ScopeUpload, "Go on with an upload: the body is what follows.",
		func(r *http.Request) (Upload, error) {
			offset, err := number(r, "offset")
			if err != nil {
				return Upload{}, err
			}
			return d.Append(r.Context(), r.PathValue("id"), offset, r.Body)
		}, parameter{"offset", "integer", "Where the body begins: how many bytes are there."})
	r.raw = true
	return t.inTurn(r)
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
