package daemon

import (
	"context"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
	"netbootd/tftp"
)

// opener gives the TFTP server the files of the boot tree.
type opener struct{ tree *boottree.Tree }

// Open implements tftp.Opener.
func (o opener) Open(ctx context.Context, r tftp.OpenRequest) (tftp.File, error) {
	f, err := o.tree.Open(ctx, boottree.Request{Client: r.Client.Addr(), Server: r.Local.Addr(), Name: r.Name})
	if err != nil {
		return nil, err
	}
	return served{f}, nil
}

// served is a file of the tree as the TFTP server wants it.
type served struct{ *boottree.File }

// Limits are those of the profile of the machine that asked.
func (s served) Limits() tftp.Limits {
	return tftp.Limits{
		Blksize:       tftp.Blksize(s.TFTP.MaxBlksize),
		Windowsize:    tftp.Windowsize(s.TFTP.MaxWindowsize),
		RefuseOptions: s.TFTP.RefuseOptions,
	}
}

// Label is the profile of the machine that asked.
func (s served) Label() string { return s.Profile }

// A consumer is the tag of a file whose delivery consumes a once-assignment.
type consumer struct {
	mac bootmenu.MAC
	id  bootmenu.AssignmentID
}

// Tag implements tftp.Tagger.
func (s served) Tag() any {
	if s.Consumes == 0 {
		return nil
	}
	return consumer{s.MAC, s.Consumes}
}
