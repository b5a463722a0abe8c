package images

import (
	"context"
	"errors"
)

var errContract = errors.New("not built yet")

// Copy stores a file under another name too, as [Store.Put] does. The blocks are
// shared where the file system can share them, else copied; never by a hard link,
// because a file that is written to in place would change under both names. It
// returns [ErrChanged] if the file was written to meanwhile.
func (s *Store) Copy(ctx context.Context, from string, to Target) (Info, error) {
	return Info{}, errContract
}

// Rename moves a file, a link or a directory, and makes missing directories. A file
// that it replaces is kept as a version. Versions belong to names, and stay with
// them. Errors: as [Store.Put]; [ErrNotEmpty] and [ErrNotDirectory] for a directory
// that cannot be replaced; [ErrName] for one that would go into itself.
func (s *Store) Rename(ctx context.Context, from, to string, c Condition) (Info, error) {
	return Info{}, errContract
}

// Remove removes a file, a link or an empty directory, and keeps no version of it;
// the versions of its name stay. Errors: fs.ErrNotExist, [ErrNotEmpty],
// [ErrReadOnly], fs.ErrPermission.
func (s *Store) Remove(name string) error { return errContract }

// RemoveAll is as Remove, with all that is in a directory. A crash may leave a part
// of it. It ends when ctx does.
func (s *Store) RemoveAll(ctx context.Context, name string) error { return errContract }

// Mkdir makes a directory, and those above it. One that is there already is
// fs.ErrExist, as is a file.
func (s *Store) Mkdir(name string) error { return errContract }

// Symlink makes a link to target, which is relative to the directory of the link
// and stays in the store; it need not exist. What stands under the name already is
// fs.ErrExist. Errors: [ErrLinkOutside], and as [Store.Put].
func (s *Store) Symlink(target, name string) error { return errContract }
