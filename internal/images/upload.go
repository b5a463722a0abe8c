package images

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// checkpoint is how much of an append a crash may take: then its end is noted.
const checkpoint = 256 << 20

// An Upload is content that arrives in pieces, and survives a restart in between.
type Upload struct {
	ID       string    `json:"id"`
	Target   Target    `json:"target"`
	Size     int64     `json:"size"`   // what was announced, or -1
	Offset   int64     `json:"offset"` // bytes that are stored for certain; the next piece begins here
	Began    time.Time `json:"began"`
	LastUsed time.Time `json:"last_used"` // begun or appended to
}

// upload is one that is open.
type upload struct {
	Upload
	hash []byte // its state at the offset
	busy bool
}

// An uploadRecord is what is noted of an upload beside its bytes. There may be more
// bytes than the offset says; they are not certain.
type uploadRecord struct {
	Format int `json:"format"`
	Upload
	Hash []byte `json:"hash"`
}

// path is where the bytes are.
func (u Upload) path() string { return uploadsDir + "/" + u.ID }

// NewUpload begins an upload of size bytes, or of any number if size is negative.
// Uploads that have expired are removed first. The target's condition is looked at
// now, and again at the commit. Errors are those of [Store.Put], and
// [ErrTooManyUploads].
func (s *Store) NewUpload(ctx context.Context, t Target, size int64) (Upload, error) {
	t, err := t.clean()
	if err != nil {
		return Upload{}, err
	}
	if err := s.mayPlace(ctx, t); err != nil {
		return Upload{}, err
	}
	if err := s.expire(); err != nil {
		return Upload{}, err
	}
	now := time.Now()
	u := &upload{Upload: Upload{ID: rand.Text(), Target: t, Size: max(size, -1), Began: now, LastUsed: now}, busy: true}
	if err := s.register(u); err != nil {
		return Upload{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	defer s.release(u)
	in, err := s.newIntake(u.path(), t.Name)
	if err == nil {
		err = errors.Join(s.checkpoint(u, in), in.file.Close())
	}
	if err != nil {
		return Upload{}, errors.Join(err, s.dropUpload(u))
	}
	return u.Upload, nil
}

// register takes one of the places for uploads.
func (s *Store) register(u *upload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uploads) >= s.opts.MaxUploads {
		return fmt.Errorf("%d of %d: %w", len(s.uploads), s.opts.MaxUploads, ErrTooManyUploads)
	}
	s.uploads[u.ID] = u
	return nil
}

// Upload tells how far an upload is, or fs.ErrNotExist. It does not touch the disk.
func (s *Store) Upload(id string) (Upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploads[id]
	if !ok {
		return Upload{}, fmt.Errorf("upload %q: %w", id, fs.ErrNotExist)
	}
	return u.Upload, nil
}

// Uploads are those that are open, the oldest first. It does not touch the disk.
func (s *Store) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Upload
	for u := range maps.Values(s.uploads) {
		all = append(all, u.Upload)
	}
	slices.SortFunc(all, func(a, b Upload) int { return cmp.Or(a.Began.Compare(b.Began), strings.Compare(a.ID, b.ID)) })
	return all
}

// claim makes an upload the caller's alone, until release.
func (s *Store) claim(id string) (*upload, error) {
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("upload %q: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploads[id]
	if !ok {
		return nil, fmt.Errorf("upload %q: %w", id, fs.ErrNotExist)
	}
	if u.busy {
		return nil, fmt.Errorf("upload %q of %s: %w", id, u.Target.Name, ErrBusy)
	}
	u.busy = true
	return u, nil
}

func (s *Store) release(u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.busy = false
}

// Append adds what r has, up to its end, at offset, which must be the upload's. What
// was read before an error is stored, and the Upload that is returned beside the
// error tells where to go on. It waits for the disk, and takes constant memory. It
// ends when ctx does, but cannot interrupt r.
//
// Errors: an [*OffsetError], [ErrBusy] while another append runs, [ErrSize] for more
// than was announced, fs.ErrNotExist, [ErrNoSpace], [ErrReadOnly], and those of r.
func (s *Store) Append(ctx context.Context, id string, offset int64, r io.Reader) (Upload, error) {
	u, err := s.claim(id)
	if err != nil {
		return Upload{}, err
	}
	defer s.release(u)
	if offset != u.Offset {
		return u.Upload, fmt.Errorf("upload %q of %s: %w", id, u.Target.Name, &OffsetError{Offset: u.Offset, Asked: offset})
	}
	in, err := s.resume(u)
	if err != nil {
		return u.Upload, err
	}
	err = s.extend(ctx, u, in, r)
	return u.Upload, errors.Join(err, in.file.Close())
}

// resume opens the file of an upload where it goes on.
func (s *Store) resume(u *upload) (*intake, error) {
	f, err := s.root.OpenFile(u.path(), os.O_WRONLY, 0)
	if err != nil {
		return nil, explain(u.Target.Name, err)
	}
	in := &intake{name: u.Target.Name, file: f, hash: sha256.New(), size: u.Offset, flushed: u.Offset}
	err = in.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.hash)
	if err == nil {
		err = f.Truncate(u.Offset) // what is behind it is not certain
	}
	if err == nil {
		_, err = f.Seek(u.Offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(explain(u.Target.Name, err), f.Close())
	}
	return in, nil
}

// extend appends what r has, and notes now and then how far it is.
func (s *Store) extend(ctx context.Context, u *upload, in *intake, r io.Reader) error {
	for {
		limit := int64(checkpoint)
		if u.Size >= 0 {
			limit = min(limit, u.Size-in.size)
		}
		end := in.size + limit
		err := in.take(ctx, io.LimitReader(r, limit))
		if err := errors.Join(err, s.checkpoint(u, in)); err != nil {
			return err
		}
		if in.size < end {
			return nil
		}
		if in.size == u.Size {
			return u.nothingLeft(r)
		}
	}
}

// nothingLeft makes sure that nothing comes after what was announced.
func (u *upload) nothingLeft(r io.Reader) error {
	n, err := fill(r, make([]byte, 1))
	if n > 0 {
		return fmt.Errorf("%s: more than the %d bytes that were announced: %w", u.Target.Name, u.Size, ErrSize)
	}
	if err != io.EOF {
		return fmt.Errorf("%s: %w", u.Target.Name, err)
	}
	return nil
}

// checkpoint makes certain what is in the file, and notes it.
func (s *Store) checkpoint(u *upload, in *intake) error {
	if err := in.file.Sync(); err != nil {
		return explain(in.name, err)
	}
	state, err := in.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return err
	}
	now := u.Upload
	now.Offset, now.LastUsed = in.size, time.Now()
	if err := s.writeRecord(u.path()+recordSuffix, uploadRecord{stateFormat, now, state}); err != nil {
		return explain(in.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Upload, u.hash = now, state
	return nil
}

// Commit gives an upload that is complete its name, as [Store.Put] does. With
// [ErrSum] the upload is gone, as its bytes are wrong; after any other error it is
// still there. Errors are those of Put, and [ErrBusy], [ErrSize], fs.ErrNotExist.
func (s *Store) Commit(ctx context.Context, id string) (Info, error) {
	u, err := s.claim(id)
	if err != nil {
		return Info{}, err
	}
	defer s.release(u)
	if u.Size >= 0 && u.Offset != u.Size {
		return Info{}, fmt.Errorf("%s: %d of %d bytes are there: %w", u.Target.Name, u.Offset, u.Size, ErrSize)
	}
	in, err := s.resume(u)
	if err != nil {
		return Info{}, err
	}
	if err := in.finish(nil); err != nil {
		return Info{}, err
	}
	if err := u.Target.checkSum(in.sum()); err != nil {
		return Info{}, errors.Join(err, s.dropUpload(u))
	}
	n := newcomer{at: u.path(), home: u.path(), fact: fact{SHA256: in.sum(), Origin: u.Target.Origin, Stored: time.Now()}}
	if err := s.place(ctx, n, u.Target.Name, u.Target.If); err != nil {
		return Info{}, err
	}
	if err := s.dropUpload(u); err != nil {
		return Info{}, err
	}
	return s.Stat(u.Target.Name)
}

// Abort throws an upload away. Errors: [ErrBusy], fs.ErrNotExist.
func (s *Store) Abort(id string) error {
	u, err := s.claim(id)
	if err != nil {
		return err
	}
	defer s.release(u)
	return s.dropUpload(u)
}

// dropUpload removes an upload that is claimed, whose bytes may have got their name.
func (s *Store) dropUpload(u *upload) error {
	if err := errors.Join(s.discard(u.path()), s.discard(u.path()+recordSuffix)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, u.ID)
	return nil
}

// expire removes the uploads that nobody has used for long. One that was used in the
// future, as the clock has it now, stays until that is past.
func (s *Store) expire() error {
	for _, u := range s.Uploads() {
		if time.Since(u.LastUsed) <= s.opts.UploadAge {
			continue
		}
		err := s.Abort(u.ID)
		if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// loadUploads reads the uploads of the time before, and removes what is none.
func (s *Store) loadUploads() error {
	names, err := s.names(uploadsDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		id := strings.TrimSuffix(n, recordSuffix)
		if slices.Contains(names, id) && slices.Contains(names, id+recordSuffix) {
			continue
		}
		if err := s.discard(path.Join(uploadsDir, n)); err != nil {
			return err
		}
	}
	for _, n := range names {
		if !slices.Contains(names, n+recordSuffix) {
			continue
		}
		var r uploadRecord
		if err := s.readRecord(path.Join(uploadsDir, n+recordSuffix), &r); err != nil {
			return err
		}
		u := &upload{Upload: r.Upload, hash: r.Hash}
		u.ID = n
		s.uploads[n] = u
	}
	return nil
}
