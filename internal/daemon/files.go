package daemon

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"time"

	"netbootd/internal/control"
	"netbootd/internal/images"
)

// files gives the control API the images.
type files struct{ store *images.Store }

// Stat implements control.Files.
func (f files) Stat(name string) (control.FileInfo, error) {
	i, err := f.store.Stat(name)
	return infoOf(i), fileError(err)
}

// List implements control.Files.
func (f files) List(ctx context.Context, dir string, recursive bool) ([]control.FileInfo, error) {
	var all []images.Info
	var err error
	if recursive {
		all, err = f.store.ListAll(ctx, dir)
	} else {
		all, err = f.store.List(dir)
	}
	list := make([]control.FileInfo, 0, len(all))
	for _, i := range all {
		list = append(list, infoOf(i))
	}
	return list, fileError(err)
}

// Hash implements control.Files.
func (f files) Hash(ctx context.Context, name, algorithm string) (control.FileHash, error) {
	hash, err := f.store.Hash(ctx, name, images.Algorithm(algorithm))
	return control.FileHash{Algorithm: algorithm, Hash: hash}, fileError(err)
}

// OpenFile implements control.Files.
func (f files) OpenFile(name string) (control.Content, error) {
	name, err := images.Clean(name)
	if err != nil {
		return nil, fileError(err)
	}
	before, err := f.store.Stat(name)
	if err != nil {
		return nil, fileError(err)
	}
	file, err := f.store.Open(name)
	if err != nil {
		return nil, fileError(err)
	}
	info, err := f.store.Stat(name)
	if err != nil || info != before {
		info.SHA256 = images.Sum{} // it was replaced meanwhile: the sum may be that of another
	}
	return &content{io.NewSectionReader(file, 0, file.Size()), file, info}, nil
}

// content is a file that is being sent.
type content struct {
	*io.SectionReader
	file *images.File
	info images.Info
}

// Close implements io.Closer.
func (c *content) Close() error { return c.file.Close() }

// Modified implements control.Content.
func (c *content) Modified() time.Time { return c.info.Modified }

// Tag implements control.Content.
func (c *content) Tag() string { return cmp.Or(c.info.SHA256.String(), c.file.Tag()) }

// PutFile implements control.Files.
func (f files) PutFile(ctx context.Context, by string, q control.UploadRequest, r io.Reader) (control.FileInfo, error) {
	t, err := targetOf(by, q)
	if err != nil {
		return control.FileInfo{}, err
	}
	i, err := f.store.Put(ctx, t, r)
	return infoOf(i), fileError(err)
}

// CopyFile implements control.Files.
func (f files) CopyFile(ctx context.Context, by string, q control.PlaceRequest) (control.FileInfo, error) {
	t, err := targetOf(by, control.UploadRequest{Name: q.To, From: q.From, If: q.If})
	if err != nil {
		return control.FileInfo{}, err
	}
	i, err := f.store.Copy(ctx, q.From, t)
	return infoOf(i), fileError(err)
}

// RenameFile implements control.Files.
func (f files) RenameFile(ctx context.Context, q control.PlaceRequest) (control.FileInfo, error) {
	c, err := conditionOf(q.If)
	if err != nil {
		return control.FileInfo{}, err
	}
	i, err := f.store.Rename(ctx, q.From, q.To, c)
	return infoOf(i), fileError(err)
}

// RemoveFile implements control.Files.
func (f files) RemoveFile(name string, recursive bool) error {
	if recursive {
		return fileError(f.store.RemoveAll(name))
	}
	return fileError(f.store.Remove(name))
}

// Mkdir implements control.Files.
func (f files) Mkdir(name string) error { return fileError(f.store.Mkdir(name)) }

// Symlink implements control.Files.
func (f files) Symlink(q control.LinkRequest) error {
	return fileError(f.store.Symlink(q.Target, q.Name))
}

// Versions implements control.Files.
func (f files) Versions(name string) ([]control.FileVersion, error) {
	all, err := f.store.Versions(name)
	list := make([]control.FileVersion, 0, len(all))
	for _, v := range all {
		list = append(list, control.FileVersion{ID: v.ID, FileInfo: infoOf(v.Info), Replaced: v.Replaced})
	}
	return list, fileError(err)
}

// PruneVersions implements control.Files.
func (f files) PruneVersions(name string, keep int) error {
	return fileError(f.store.Prune(name, keep))
}

// Rollback implements control.Files.
func (f files) Rollback(ctx context.Context, q control.RollbackRequest) (control.FileInfo, error) {
	c, err := conditionOf(q.If)
	if err != nil {
		return control.FileInfo{}, err
	}
	i, err := f.store.Rollback(ctx, q.Name, q.ID, c)
	return infoOf(i), fileError(err)
}

// NewUpload implements control.Uploader.
func (f files) NewUpload(ctx context.Context, by string, q control.UploadRequest) (control.Upload, error) {
	t, err := targetOf(by, q)
	if err != nil {
		return control.Upload{}, err
	}
	u, err := f.store.NewUpload(ctx, t, q.Size)
	return uploadOf(u), fileError(err)
}

// Uploads implements control.Uploader.
func (f files) Uploads() []control.Upload {
	list := []control.Upload{}
	for _, u := range f.store.Uploads() {
		list = append(list, uploadOf(u))
	}
	return list
}

// UploadStatus implements control.Uploader.
func (f files) UploadStatus(id string) (control.Upload, error) {
	u, err := f.store.Upload(id)
	return uploadOf(u), fileError(err)
}

// Append implements control.Uploader.
func (f files) Append(ctx context.Context, id string, offset int64, r io.Reader) (control.Upload, error) {
	u, err := f.store.Append(ctx, id, offset, r)
	return uploadOf(u), fileError(err)
}

// CommitUpload implements control.Uploader.
func (f files) CommitUpload(ctx context.Context, id string) (control.FileInfo, error) {
	i, err := f.store.Commit(ctx, id)
	return infoOf(i), fileError(err)
}

// AbortUpload implements control.Uploader.
func (f files) AbortUpload(id string) error { return fileError(f.store.Abort(id)) }

func infoOf(i images.Info) control.FileInfo {
	return control.FileInfo{
		Name: i.Name, Dir: i.Dir, Link: i.Link, Broken: i.Broken, Size: i.Size, Modified: i.Modified,
		SHA256: i.SHA256.String(), By: i.Origin.By, From: i.Origin.From, Stored: i.Stored,
	}
}

func uploadOf(u images.Upload) control.Upload {
	return control.Upload{ID: u.ID, Name: u.Target.Name, Size: u.Size, Offset: u.Offset, Began: u.Began, Key: u.Target.Key}
}

func targetOf(by string, q control.UploadRequest) (images.Target, error) {
	c, err := conditionOf(q.If)
	if err != nil {
		return images.Target{}, err
	}
	t := images.Target{Name: q.Name, Origin: images.Origin{By: by, From: q.From}, If: c, Key: q.Key}
	t.SHA256, err = sumOf(q.SHA256)
	return t, err
}

func conditionOf(c control.Condition) (images.Condition, error) {
	sum, err := sumOf(c.SHA256)
	return images.Condition{Absent: c.Absent, SHA256: sum}, err
}

// sumOf reads a sha256, or none.
func sumOf(text string) (sum images.Sum, err error) {
	if err := sum.UnmarshalText([]byte(text)); err != nil {
		return sum, control.Invalid(err.Error())
	}
	if text != "" && sum.IsZero() { // which the store takes for none
		return sum, control.Invalid("no file has a sha256 of nothing but zeros")
	}
	return sum, nil
}

// fileProblems say what the errors of the store are to a client of the API. The
// first that fits counts.
var fileProblems = []struct {
	err    error
	status int
	code   string
}{
	{images.ErrConflict, http.StatusPreconditionFailed, control.CodeConflict},
	{images.ErrBusy, http.StatusConflict, control.CodeConflict},
	{images.ErrNotEmpty, http.StatusConflict, control.CodeConflict},
	{images.ErrChanged, http.StatusConflict, control.CodeConflict},
	{fs.ErrExist, http.StatusConflict, control.CodeConflict},
	{images.ErrAlgorithm, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrName, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrSum, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrSize, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrIsDirectory, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrNotDirectory, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrOtherFileSystem, http.StatusUnprocessableEntity, control.CodeInvalid},
	{images.ErrTooManyUploads, http.StatusTooManyRequests, control.CodeUnavailable},
	{images.ErrNoSpace, http.StatusInsufficientStorage, control.CodeUnavailable},
	{images.ErrReadOnly, http.StatusServiceUnavailable, control.CodeUnavailable},
	{fs.ErrNotExist, http.StatusNotFound, control.CodeNotFound},
	{fs.ErrPermission, http.StatusForbidden, control.CodeForbidden},
}

// fileError is an error of the store as the API tells it.
func fileError(err error) error {
	if err == nil {
		return nil
	}
	var elsewhere *images.OffsetError
	if errors.As(err, &elsewhere) {
		return &control.Problem{Status: http.StatusConflict, Code: control.CodeConflict, Detail: err.Error(), Offset: &elsewhere.Offset}
	}
	for _, p := range fileProblems {
		if errors.Is(err, p.err) {
			return &control.Problem{Status: p.status, Code: p.code, Detail: err.Error()}
		}
	}
	return err
}
