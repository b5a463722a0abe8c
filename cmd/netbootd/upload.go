package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"netbootd/client"
	"netbootd/internal/source"
)

// uploadFlags are those of the command, as they were typed.
type uploadFlags struct {
	sha256             string
	decompress, follow bool
	jobs               int
	snippet            string
	asJSON             bool
}

// newUploadCommand puts images in place.
func newUploadCommand(connect connector) *cobra.Command {
	var f uploadFlags
	c := &cobra.Command{
		Use:   "upload SRC... [DEST]",
		Short: "Put files and directories into the images",
		Long: "Put files and directories into the images. DEST is a name there, or a directory that is there or\n" +
			"ends in a slash; with several sources it is the last argument. Without it, a single source keeps\n" +
			"its name. Each file appears when it is whole, and what it replaces is kept as a version.\n\n" +
			"SRC is a file or directory of this host, http(s)://, s3://bucket/key or s3://bucket/prefix/,\n" +
			"sftp://user@host/path, oci://registry/repository:tag, or - for standard input, which also brings\n" +
			"what other tools can read: rclone cat remote:path | netbootd upload - NAME.\n\n" +
			"A file that is there already with the same content is not sent again. After a cut the upload goes\n" +
			"on by itself; one that was interrupted goes on when the command is given again within a day.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usageError{err}
			}
			return connect.use(cmd, func(ctx context.Context, c *client.Client) error { return f.run(ctx, cmd, c, args) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.sha256, "sha256", "", "what the content of the one file must have, in `hexadecimal`; else nothing is changed")
	flags.BoolVar(&f.decompress, "decompress", false, "unpack gzip, xz, bzip2 and zstd, and leave the extension out of the name")
	flags.BoolVar(&f.follow, "follow", false, "upload what symbolic links lead to, instead of the links")
	flags.IntVar(&f.jobs, "jobs", 4, "how many files are sent at once")
	flags.StringVar(&f.snippet, "snippet", "", "also print the lines to type: uboot, grub, ipxe or barebox")
	addJSONFlag(c, &f.asJSON)
	return c
}

func (f uploadFlags) check() error {
	if f.jobs < 1 || f.jobs > 64 {
		return fmt.Errorf("--jobs %d: want 1 to 64", f.jobs)
	}
	if f.snippet != "" && snippets[f.snippet] == "" {
		return fmt.Errorf("--snippet %q: want uboot, grub, ipxe or barebox", f.snippet)
	}
	return nil
}

// An uploaded is what became of one file.
type uploaded struct {
	client.FileInfo
	Unchanged bool   `json:"unchanged"`     // it was there already
	URL       string `json:"url,omitempty"` // by TFTP; empty while that is down
}

// run uploads everything, and tells of it.
func (f uploadFlags) run(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
	sources, dest := args, ""
	if len(args) > 1 {
		sources, dest = args[:len(args)-1], args[len(args)-1]
	}
	into := len(args) == 1
	if !into {
		var err error
		if into, err = isDirectory(ctx, c, dest); err != nil {
			return err
		}
	}
	if len(sources) > 1 && !into {
		return usageError{fmt.Errorf("%s is no directory, and there are %d sources for it; end it with a slash to make one", dest, len(sources))}
	}
	u := &uploading{flags: f, client: c, progress: newProgress(cmd.ErrOrStderr())}
	defer u.progress.close()
	for _, text := range sources {
		if err := u.source(ctx, cmd.InOrStdin(), text, dest, into); err != nil {
			return errors.Join(err, u.print(ctx, cmd.OutOrStdout()))
		}
	}
	u.progress.close()
	return u.print(ctx, cmd.OutOrStdout())
}

// An uploading is one run of the command.
type uploading struct {
	flags    uploadFlags
	client   *client.Client
	progress *progress

	mu   sync.Mutex // guards done
	done []uploaded
}

// source uploads all that one source has. An error of one file does not keep the
// others from being sent.
func (u *uploading) source(ctx context.Context, stdin io.Reader, text, dest string, into bool) error {
	ref, err := source.Parse(text)
	if err != nil {
		return usageError{err}
	}
	src, err := source.Open(ctx, ref, source.Options{Stdin: stdin, FollowLinks: u.flags.follow})
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // it was only read
	sending := new(errgroup.Group)
	sending.SetLimit(u.flags.jobs)
	var errs []error
	var mu sync.Mutex // guards errs
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	count, place := 0, placing{ref: ref, isDir: isDirectorySource(text), dest: dest, into: into}
	for item, err := range src.Items(ctx) {
		if err != nil {
			failed(err)
			continue
		}
		if count++; count > 1 && u.flags.sha256 != "" {
			failed(usageError{fmt.Errorf("--sha256 is about one file, and %s has several", ref)})
			break
		}
		name, err := place.of(item)
		if err != nil {
			failed(usageError{err})
			continue
		}
		sending.Go(func() error {
			if err := u.item(ctx, ref, item, name); err != nil {
				failed(err)
			}
			return nil
		})
	}
	_ = sending.Wait() // its errors are in errs
	return errors.Join(errs...)
}

// A placing says where what a source has goes to.
type placing struct {
	ref   source.Ref
	isDir bool   // it is a directory for certain
	dest  string // as typed; empty for the top
	into  bool   // dest is a directory
}

// isDirectorySource tells whether a source is a directory, as far as that is known
// before it is listed.
func isDirectorySource(text string) bool {
	info, err := os.Stat(text)
	return strings.HasSuffix(text, "/") || err == nil && info.IsDir()
}

// of is the name that an item gets. One file takes the name of DEST; what is in a
// directory goes below it, as "cp -r" does it.
func (p placing) of(item source.Item) (string, error) {
	base := p.ref.Base()
	switch isBelow := p.isDir || item.Name != "" && item.Name != base; {
	case isBelow && p.into:
		return path.Join(p.dest, base, item.Name), nil
	case isBelow:
		return path.Join(p.dest, item.Name), nil
	case !p.into:
		return path.Clean(p.dest), nil
	case item.Name == "":
		return "", fmt.Errorf("%s has no name to keep, give one as DEST", p.ref)
	}
	return path.Join(p.dest, item.Name), nil
}

// item uploads one file or link.
func (u *uploading) item(ctx context.Context, ref source.Ref, item source.Item, name string) error {
	if item.Link != "" {
		return u.link(ctx, item, name)
	}
	q := client.UploadRequest{Name: name, Size: item.Size, SHA256: u.flags.sha256, From: ref.String()}
	if q.SHA256 == "" && !u.flags.decompress {
		q.SHA256 = item.SHA256
	}
	same, info, err := u.isThere(ctx, ref, item, q)
	switch {
	case err != nil:
		return err
	case same:
		u.tell(uploaded{FileInfo: info, Unchanged: true})
		return nil
	case u.flags.decompress:
		info, err = u.unpacked(ctx, item, q)
	case ref.IsStdin():
		info, err = u.whole(ctx, item, q)
	default:
		if item.Version != "" {
			q.Key = ref.String() + " " + item.Name + " " + item.Version
		}
		bar := u.progress.start(name, item.Size)
		info, err = u.client.PutFrom(ctx, q, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			r, err := item.Open(ctx, offset)
			if err != nil {
				return nil, err
			}
			return bar.reader(r, offset), nil
		})
		bar.end(err == nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	u.tell(uploaded{FileInfo: info})
	return nil
}

// isThere tells whether the images have that content under that name already. Only
// what has the same size is read to find out.
func (u *uploading) isThere(ctx context.Context, ref source.Ref, item source.Item, q client.UploadRequest) (bool, client.FileInfo, error) {
	if u.flags.decompress || q.SHA256 == "" && !ref.IsLocal() {
		return false, client.FileInfo{}, nil
	}
	info, err := u.client.Stat(ctx, q.Name)
	if errors.Is(err, client.ErrNotFound) || err == nil && (info.Dir || info.Size != item.Size && item.Size >= 0) {
		return false, info, nil
	}
	if err != nil {
		return false, info, err
	}
	if info.SHA256 == "" {
		if info.SHA256, err = u.client.Hash(ctx, q.Name, client.SHA256); err != nil {
			return false, info, err
		}
	}
	sum := strings.ToLower(q.SHA256)
	if sum == "" {
		if sum, err = sumOfItem(ctx, item); err != nil {
			return false, info, err
		}
	}
	return sum == info.SHA256, info, nil
}

// unpacked uploads what a compressed file holds. It cannot be read from the middle.
func (u *uploading) unpacked(ctx context.Context, item source.Item, q client.UploadRequest) (client.FileInfo, error) {
	packed, err := item.Open(ctx, 0)
	if err != nil {
		return client.FileInfo{}, err
	}
	defer func() { _ = packed.Close() }()
	bar := u.progress.start(q.Name, item.Size) // of the packed bytes
	name, r, err := source.Decompress(q.Name, bar.reader(packed, 0))
	if err != nil {
		bar.end(false)
		return client.FileInfo{}, err
	}
	defer func() { _ = r.Close() }()
	q.Name, q.Size = name, -1
	info, err := u.client.Put(ctx, q, onlyReader{r})
	bar.end(err == nil)
	return info, err
}

// whole uploads what can be read only once.
func (u *uploading) whole(ctx context.Context, item source.Item, q client.UploadRequest) (client.FileInfo, error) {
	r, err := item.Open(ctx, 0)
	if err != nil {
		return client.FileInfo{}, err
	}
	defer func() { _ = r.Close() }()
	bar := u.progress.start(q.Name, q.Size)
	info, err := u.client.Put(ctx, q, onlyReader{bar.reader(r, 0)})
	bar.end(err == nil)
	return info, err
}

// onlyReader hides what else a reader can do.
type onlyReader struct{ io.Reader }

// link makes a symbolic link, or leaves one that leads there already.
func (u *uploading) link(ctx context.Context, item source.Item, name string) error {
	info, err := u.client.Stat(ctx, name)
	switch {
	case err == nil && info.Link == item.Link:
		u.tell(uploaded{FileInfo: info, Unchanged: true})
		return nil
	case err == nil && info.Link != "":
		if err := u.client.Remove(ctx, name); err != nil {
			return err
		}
	}
	if err := u.client.Symlink(ctx, client.LinkRequest{Name: name, Target: item.Link}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if info, err = u.client.Stat(ctx, name); err != nil {
		return err
	}
	u.tell(uploaded{FileInfo: info})
	return nil
}

// tell notes what became of a file.
func (u *uploading) tell(done uploaded) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done = append(u.done, done)
}

// print tells of all files, and where machines find them.
func (u *uploading) print(ctx context.Context, w io.Writer) error {
	t, err := u.client.TFTP(ctx, netip.Addr{})
	if err != nil {
		return err
	}
	for i := range u.done {
		u.done[i].URL = tftpURLOf(t, u.done[i].Name)
	}
	if u.flags.asJSON {
		if u.done == nil {
			u.done = []uploaded{}
		}
		return printJSON(w, u.done)
	}
	var lines []string
	for _, d := range u.done {
		lines = append(lines, uploadedText(d))
		if u.flags.snippet != "" && d.Link == "" {
			lines = append(lines, snippetLines(u.flags.snippet, t, d.FileInfo)...)
		}
	}
	if !t.Running && len(u.done) > 0 {
		lines = append(lines, "TFTP is down: start a profile, or netbootd tftp start, before machines ask for it")
	}
	return printLines(w, lines)
}

func uploadedText(d uploaded) string {
	what := fmt.Sprintf("%s: %d bytes, sha256 %s", d.Name, d.Size, orDash(d.SHA256))
	switch {
	case d.Link != "":
		what = fmt.Sprintf("%s: link to %s", d.Name, d.Link)
	case d.Unchanged:
		what += ", was there already"
	}
	if d.URL != "" {
		what += "\n  " + d.URL
	}
	return what
}

// sumOfItem is the sha256 of an item in hexadecimal.
func sumOfItem(ctx context.Context, item source.Item) (string, error) {
	r, err := item.Open(ctx, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	return sumOf(r)
}
