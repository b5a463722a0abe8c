package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"netbootd/bootmenu"
	"netbootd/internal/config"
	"netbootd/internal/newprofile"
	"netbootd/internal/spelling"
)

// errExists is a profile that would be written over.
var errExists = errors.New("there is a profile of that name already")

// profileNewFlags are those of the command, as they were typed.
type profileNewFlags struct {
	template, dir string
	macs          []string
	force, list   bool
}

func newProfileNewCommand(configFile *string) *cobra.Command {
	var f profileNewFlags
	c := &cobra.Command{
		Use:   "new NAME --template TEMPLATE",
		Short: "Write a commented profile to begin with",
		Long: "Write a commented profile to begin with into the directory of profiles. With --dir the files of\n" +
			"that directory are looked at, and the profile names what is there: kernels for each machine type\n" +
			"with their initial RAM disks, the first stage of a board, scripts. Without it the profile names the\n" +
			"files that are usual. What is still missing is told.\n\n" +
			"--list lists the templates. Exit code 2 if the usage is wrong, 1 if there is such a profile already or\n" +
			"the directory does not hold what the template needs; 0 also if files are missing.",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return printTemplates(cmd.OutOrStdout())
			}
			return writeProfile(cmd.OutOrStdout(), *configFile, args[0], f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.template, "template", "", "template to write it from")
	flags.StringVar(&f.dir, "dir", "", "directory below images that holds the files")
	flags.StringArrayVar(&f.macs, "mac", nil, "MAC address of a machine that it is for, or the beginning of one; may be repeated")
	flags.BoolVar(&f.force, "force", false, "write over a profile of that name")
	flags.BoolVar(&f.list, "list", false, "list the templates")
	return c
}

// printTemplates lists the templates.
func printTemplates(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "TEMPLATE\tWRITES A PROFILE FOR\n")
	for _, one := range newprofile.Templates() {
		fmt.Fprintf(t, "%s\t%s\n", one.Name, one.About)
	}
	return t.Flush()
}

// writeProfile writes a profile and tells what is left to do.
func writeProfile(w io.Writer, configFile, name string, f profileNewFlags) error {
	if err := f.check(name); err != nil {
		return usageError{err}
	}
	s, err := readService(configFile)
	if err != nil {
		return err
	}
	r := newprofile.Request{Name: name, Template: f.template, Images: s.Images, MACs: f.macs}
	if f.dir != "" {
		if r.Dir, err = treeDir(s.Images, f.dir); err != nil {
			return usageError{err}
		}
		if r.Found, err = scan(s.Images, r.Dir); err != nil {
			return err
		}
	}
	text, err := newprofile.Write(r)
	if err != nil {
		return err
	}
	file := filepath.Join(s.Profiles, name+".toml")
	p, problems := config.ParseProfile(filepath.ToSlash(file), text)
	if len(problems) > 0 {
		return problems
	}
	if err := storeProfile(file, text, f.force); err != nil {
		return err
	}
	return tellWritten(w, s, p, file, f)
}

// check looks at what was typed.
func (f profileNewFlags) check(name string) error {
	if err := bootmenu.CheckName(name); err != nil {
		return err
	}
	var names []string
	for _, t := range newprofile.Templates() {
		names = append(names, t.Name)
	}
	if err := checkTemplate(f.template, names); err != nil {
		return err
	}
	for _, m := range f.macs {
		if _, err := bootmenu.ParseMACPattern(m); err != nil {
			return fmt.Errorf("--mac: %w", err)
		}
	}
	return nil
}

// checkTemplate returns an error unless name is one of the templates.
func checkTemplate(name string, names []string) error {
	if name == "" {
		return fmt.Errorf("--template is missing: %s", strings.Join(names, ", "))
	}
	meant := ""
	for _, n := range names {
		switch {
		case n == name:
			return nil
		case strings.HasPrefix(n, name), spelling.Distance(n, name) <= max(1, len(n)/3):
			meant = fmt.Sprintf(", did you mean %q?", n)
		}
	}
	return fmt.Errorf("there is no template %q, only %s%s", name, strings.Join(names, ", "), meant)
}

// treeDir is a directory in the boot tree, from its path on the host or from its name
// in the tree.
func treeDir(images, dir string) (string, error) {
	full := dir
	if !filepath.IsAbs(dir) {
		if _, err := os.Stat(filepath.Join(images, dir)); err == nil {
			full = filepath.Join(images, dir)
		}
	}
	abs, err := filepath.Abs(full)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(images, abs)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", fmt.Errorf("--dir %s is no directory below the images directory %s", dir, images)
	}
	return filepath.ToSlash(rel), nil
}

// scan looks at a directory of the images.
func scan(images, dir string) ([]newprofile.Image, error) {
	root, err := os.OpenRoot(images)
	if err != nil {
		return nil, fmt.Errorf("images directory: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read
	found, err := newprofile.Scan(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such directory in %s", dir, images)
	}
	return found, err
}

// storeProfile puts a profile into its place, whole or not at all.
func storeProfile(file string, text []byte, force bool) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // after a rename it is not there
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if force {
		return os.Rename(tmp.Name(), file)
	}
	if err := os.Link(tmp.Name(), file); errors.Is(err, fs.ErrExist) { // a rename would take its place
		return fmt.Errorf("%s: %w", file, errExists)
	} else if err != nil {
		return err
	}
	return nil
}

// tellWritten says what was written, what is missing, and what to do next.
func tellWritten(w io.Writer, s config.Service, p bootmenu.Profile, file string, f profileNewFlags) error {
	if _, err := fmt.Fprintf(w, "wrote %s\n", file); err != nil {
		return err
	}
	for _, fault := range hostFaults(s, []bootmenu.Profile{p}) {
		if _, err := fmt.Fprintf(w, "warning: %s\nhint: %s\n", strings.TrimPrefix(fault.line, "warning: "), fault.Hint); err != nil {
			return err
		}
	}
	if !p.Once {
		return nil
	}
	macs := f.macs
	if len(macs) == 0 {
		macs = []string{"MAC"}
	}
	for _, m := range macs {
		if _, err := fmt.Fprintf(w, "give it to a machine for one boot: netbootd boot %s %s --once\n", m, p.Name); err != nil {
			return err
		}
	}
	return nil
}
