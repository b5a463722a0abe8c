package images

import (
	"context"
	"io"
)

// Copy stores a file under another name too, as [Store.Put] does. The blocks are
// shared where the file system can share them, else copied; never by a hard link,
// because a file that is written to in place would change under both names. It
// returns [ErrChanged] if the file was written to meanwhile.
func (s *Store) Copy(ctx context.Context, from string, to Target) (Info, error) {
	from, err := cleanFile(from)
	if err != nil {
		return Info{}, err
	}
	if to, err = to.clean(); err != nil {
		return Info{}, err
	}
	if err := s.mayPlace(ctx, to); err != nil {
		return Info{}, err
	}
	f, err := s.Open(from)
	if err != nil {
		return Info{}, err
	}
	defer func() { _ = f.Close() }()
	return s.fill(ctx, to, func(tmp string) (Sum, error) {
		sum, err := s.duplicate(ctx, f, tmp, from)
		if err != nil {
			return sum, err
		}
		return sum, to.checkSum(sum)
	})
}

// duplicate makes the file tmp one with the same bytes, and syncs it. name is what
// people call the file.
func (s *Store) duplicate(ctx context.Context, f *File, tmp, name string) (Sum, error) {
	in, err := s.newIntake(tmp, name)
	if err != nil {
		return Sum{}, err
	}
	if !clone(in.file, f.f) {
		err := in.finish(in.take(ctx, io.NewSectionReader(f, 0, f.Size())))
		if err == nil && in.size != f.Size() {
			err = explain(name, ErrChanged)
		}
		return in.sum(), err
	}
	if err := in.finish(explain(name, f.check())); err != nil {
		return Sum{}, err
	}
	return s.sumOf(ctx, name, f)
}
