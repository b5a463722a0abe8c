package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"netbootd/bootmenu"
)

// DefaultPath is where the service's settings are looked for.
const DefaultPath = "/etc/netbootd/netbootd.toml"

// ReadService reads the service's settings from a file. If path is empty it is
// [DefaultPath], and that file may be missing: then it is [DefaultService]. A
// missing file that was named is an error that wraps fs.ErrNotExist. What is
// wrong in the file is an error of type [Problems].
func ReadService(path string) (Service, error) {
	named := path != ""
	if !named {
		path = DefaultPath
	}
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return DefaultService(), nil
	}
	if err != nil {
		return Service{}, fmt.Errorf("%s: cannot read: %w", path, cause(err))
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Service{}, fmt.Errorf("%s: cannot tell its directory: %w", path, err)
	}
	s, problems := ParseService(path, dir, src)
	return s, problems.Err()
}

// cause takes the call and the path off an error of a file, for problems name
// the file themselves.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// ReadProfiles reads all profiles of a directory: the files whose names end in
// ".toml". Hidden files and directories are passed over, and so is what editors
// leave behind. display is the directory's name for problems; it stands before
// the names of the files.
//
// A file with problems does not keep the others from being read. Good profiles
// are ordered by name; problems are listed by the name of the profile. The error
// tells that the directory itself cannot be read.
func ReadProfiles(fsys fs.FS, display string) ([]bootmenu.Profile, map[string]Problems, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, nil, fmt.Errorf("%s: cannot read the directory: %w", display, cause(err))
	}
	var files []string
	twins := make(map[string][]string) // files by their names in lower case
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && isProfileFile(name) {
			files = append(files, name)
			twins[strings.ToLower(name)] = append(twins[strings.ToLower(name)], name)
		}
	}
	slices.Sort(files)
	var profiles []bootmenu.Profile
	broken := map[string]Problems{}
	for _, name := range files {
		p, problems := readProfile(fsys, name, path.Join(display, name), twins[strings.ToLower(name)])
		if len(problems) > 0 {
			broken[strings.TrimSuffix(name, extension)] = problems
			continue
		}
		profiles = append(profiles, p)
	}
	return profiles, broken, nil
}

// isProfileFile tells whether a file is meant to be a profile. Emacs and vi put
// a dot or # before the names of their own files, or ~ and .swp behind.
func isProfileFile(name string) bool {
	return strings.HasSuffix(name, extension) && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#")
}

// readProfile reads one file of fsys. twins are the files that have its name,
// but for the case.
func readProfile(fsys fs.FS, name, display string, twins []string) (bootmenu.Profile, Problems) {
	d := newDocument(display, nil)
	info, err := fs.Stat(fsys, name)
	switch {
	case len(twins) > 1:
		d.filef("profile names differ only in case: %s", strings.Join(twins, ", "))
		d.hintf("keep one of them, and write its name in lower case")
	case err != nil:
		d.filef("cannot read: %v", cause(err))
	case !info.Mode().IsRegular():
		d.filef("not a regular file")
	case info.Size() > maxFileBytes:
		d.filef("the file has %d bytes, want at most %d", info.Size(), maxFileBytes)
	}
	if len(d.problems) > 0 {
		return bootmenu.Profile{}, d.problems
	}
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		d.filef("cannot read: %v", cause(err))
		return bootmenu.Profile{}, d.problems
	}
	return ParseProfile(display, src)
}
