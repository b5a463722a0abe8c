package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newFilesCommand works on the images as the tools of those names do on files.
func newFilesCommand(connect connector) *cobra.Command {
	c := &cobra.Command{
		Use:   "files",
		Short: "Look at and change the images",
		Long: "Look at and change the images, as the tools of the same names do with files. Names are those in\n" +
			"the images directory, with slashes. What is replaced is kept as a version.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(
		newFilesLsCommand(connect), newFilesStatCommand(connect), newFilesHashCommand(connect),
		newFilesCatCommand(connect), newFilesGetCommand(connect), newFilesExistsCommand(connect),
		newFilesPlaceCommand(connect, "cp", "Copy files", (*client.Client).Copy),
		newFilesPlaceCommand(connect, "mv", "Move or rename files and directories", (*client.Client).Rename),
		newFilesRmCommand(connect), newFilesMkdirCommand(connect),
		newFilesVersionsCommand(connect), newFilesRollbackCommand(connect),
		newWhichCommand(connect),
	)
	return c
}

func newFilesLsCommand(connect connector) *cobra.Command {
	var recursive, long, asJSON bool
	c := &cobra.Command{
		Use:   "ls [DIR]",
		Short: "List a directory; names of directories end in a slash",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				list := c.List
				if recursive {
					list = c.ListAll
				}
				all, err := list(ctx, dir)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd.OutOrStdout(), all)
				}
				return printFiles(cmd.OutOrStdout(), all, path.Clean(dir), long)
			})
		},
	}
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "list all directories below, too")
	c.Flags().BoolVarP(&long, "long", "l", false, "also size, time of the last change and sha256")
	addJSONFlag(c, &asJSON)
	return c
}

// printFiles lists what is in dir, one name a line.
func printFiles(w io.Writer, list []client.FileInfo, dir string, long bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, i := range list {
		name := strings.TrimPrefix(i.Name, dir+"/")
		switch {
		case i.Link != "" && long:
			name += " -> " + i.Link
		case i.Dir:
			name += "/"
		}
		if long {
			name = fmt.Sprintf("%d\t%s\t%s\t%s", i.Size, i.Modified.Local().Format(time.DateTime), orDash(i.SHA256), name)
		}
		fmt.Fprintln(t, name)
	}
	return t.Flush()
}

// A fileReport is all that is known of a file.
type fileReport struct {
	client.FileInfo
	Versions []client.FileVersion `json:"versions"`
}

func newFilesStatCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "stat NAME",
		Short: "Tell all that is known of a file or directory",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				var r fileReport
				var err error
				if r.FileInfo, err = c.Stat(ctx, args[0]); err != nil {
					return err
				}
				if !r.Dir {
					if r.Versions, err = c.Versions(ctx, args[0]); err != nil {
						return err
					}
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), r)
				}
				return printFile(cmd.OutOrStdout(), r)
			})
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// printFile writes what is known of a file for people.
func printFile(w io.Writer, r fileReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, value)
		}
	}
	line("name", r.Name)
	line("link to", r.Link)
	switch {
	case r.Broken:
		line("kind", "link that leads nowhere, or out of the images")
	case r.Dir:
		line("kind", "directory")
	default:
		line("size", fmt.Sprintf("%d bytes", r.Size))
	}
	line("modified", r.Modified.Local().Format(time.DateTime))
	line("sha256", r.SHA256)
	if !r.Stored.IsZero() {
		line("stored", r.Stored.Local().Format(time.DateTime))
	}
	line("by", r.By)
	line("from", r.From)
	if !r.Dir {
		line("versions", fmt.Sprint(len(r.Versions)))
	}
	return t.Flush()
}

func newFilesHashCommand(connect connector) *cobra.Command {
	var algorithm string
	var asJSON bool
	c := &cobra.Command{
		Use:   "hash NAME...",
		Short: "Print the hash of files, as sha256sum does",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				hashes := make(map[string]string)
				for _, name := range args {
					hash, err := c.Hash(ctx, name, algorithm)
					if err != nil {
						return err
					}
					hashes[name] = hash
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), hashes)
				}
				var lines []string
				for _, name := range args {
					lines = append(lines, hashes[name]+"  "+name)
				}
				return printLines(cmd.OutOrStdout(), lines)
			})
		},
	}
	c.Flags().StringVar(&algorithm, "algo", client.SHA256, "sha256, sha512, md5, or crc32 as U-Boot prints it")
	addJSONFlag(c, &asJSON)
	return c
}

func newFilesCatCommand(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:   "cat NAME...",
		Short: "Print the content of files",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				for _, name := range args {
					if err := copyFileTo(ctx, c, name, cmd.OutOrStdout()); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// copyFileTo writes the content of a file.
func copyFileTo(ctx context.Context, c *client.Client, name string, w io.Writer) error {
	f, err := c.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func newFilesGetCommand(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:   "get NAME DEST",
		Short: "Copy a file to this host",
		Long: "Copy a file to this host. DEST is a file or a directory of this host. The file appears when it is\n" +
			"whole, and takes the place of one of the same name.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				return getFile(ctx, c, args[0], args[1])
			})
		},
	}
}

// getFile copies a file of the images to one of this host.
func getFile(ctx context.Context, c *client.Client, name, dest string) (err error) {
	if info, err := os.Stat(dest); err == nil && info.IsDir() {
		dest = filepath.Join(dest, path.Base(name))
	}
	tmp, err := os.CreateTemp(filepath.Dir(dest), "."+filepath.Base(dest)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if err := errors.Join(copyFileTo(ctx, c, name, tmp), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), dest)
}

func newFilesExistsCommand(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:   "exists NAME",
		Short: "Tell whether there is a file or directory: exit code 0 is yes, 1 is no",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				ok, err := c.Exists(ctx, args[0])
				if err == nil && !ok {
					return exitError(exitFailed)
				}
				return err
			})
		},
	}
}

// newFilesPlaceCommand is cp or mv.
func newFilesPlaceCommand(connect connector, name, short string, place func(*client.Client, context.Context, client.PlaceRequest) (client.FileInfo, error)) *cobra.Command {
	return &cobra.Command{
		Use:   name + " SRC... DEST",
		Short: short + "; DEST is a name, or a directory that is there or ends in a slash",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, dest := args[:len(args)-1], args[len(args)-1]
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				into, err := isDirectory(ctx, c, dest)
				if err != nil {
					return err
				}
				if len(sources) > 1 && !into {
					return usageError{fmt.Errorf("%s is no directory, and there are %d files for it", dest, len(sources))}
				}
				for _, from := range sources {
					q := client.PlaceRequest{From: from, To: dest}
					if into {
						q.To = path.Join(dest, path.Base(from))
					}
					if _, err := place(c, ctx, q); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// isDirectory tells whether what is put there goes into it.
func isDirectory(ctx context.Context, c *client.Client, name string) (bool, error) {
	if strings.HasSuffix(name, "/") {
		return true, nil
	}
	i, err := c.Stat(ctx, name)
	if errors.Is(err, client.ErrNotFound) {
		return false, nil
	}
	return i.Dir, err
}

func newFilesRmCommand(connect connector) *cobra.Command {
	var recursive, force bool
	c := &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove files, links and empty directories; their versions stay",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				remove := c.Remove
				if recursive {
					remove = c.RemoveAll
				}
				for _, name := range args {
					if err := remove(ctx, name); err != nil && !(force && errors.Is(err, client.ErrNotFound)) {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVarP(&recursive, "recursive", "r", false, "remove directories with all that is in them")
	c.Flags().BoolVarP(&force, "force", "f", false, "what is not there is no error")
	return c
}

func newFilesMkdirCommand(connect connector) *cobra.Command {
	var parents bool
	c := &cobra.Command{
		Use:   "mkdir DIR...",
		Short: "Make directories, and those above them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				for _, name := range args {
					err := c.Mkdir(ctx, name)
					if parents && errors.Is(err, client.ErrConflict) {
						if there, statErr := isDirectory(ctx, c, path.Clean(name)); statErr == nil && there {
							continue
						}
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVarP(&parents, "parents", "p", false, "a directory that is there already is no error")
	return c
}

func newFilesVersionsCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "versions NAME",
		Short: "List the files that are kept for a name, the one that was replaced last first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				list, err := c.Versions(ctx, args[0])
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd.OutOrStdout(), list)
				}
				t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprint(t, "VERSION\tREPLACED\tSIZE\tSHA256\tBY\n")
				for _, v := range list {
					fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", v.ID, v.Replaced.Local().Format(time.DateTime), v.Size, orDash(v.SHA256), orDash(v.By))
				}
				return t.Flush()
			})
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

func newFilesRollbackCommand(connect connector) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Give the file that was replaced last its name back",
		Long: "Give the file that was replaced last its name back, or the one that --to names. The file that\n" +
			"stands there becomes a version in its turn, so that a second rollback takes the first one back.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error {
				i, err := c.Rollback(ctx, client.RollbackRequest{Name: args[0], ID: to})
				if err != nil {
					return err
				}
				return printLines(cmd.OutOrStdout(), []string{fmt.Sprintf("%s is as it was before: %d bytes", i.Name, i.Size)})
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "`version` as netbootd files versions lists it")
	return c
}

// orDash is what a table has where nothing is known.
func orDash(s string) string { return cmp.Or(s, "-") }
