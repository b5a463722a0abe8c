package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"netbootd/internal/boottree"
	"netbootd/internal/images"
	"netbootd/tftp"
)

// depot puts what clients write by TFTP into the inbox.
type depot struct {
	inbox *images.Inbox
	allow tftp.Networks
	label func(netip.Addr) string // the profile of the machine behind an address
}

// Create implements tftp.Depot.
func (d depot) Create(_ context.Context, r tftp.OpenRequest, size int64) (tftp.Deposit, error) {
	client := r.Client.Addr()
	if !d.allow.Contains(client) {
		return nil, fmt.Errorf("%s may not write, [tftp.write] allow does not name its network: %w", client, fs.ErrPermission)
	}
	name, err := boottree.Clean(r.Name)
	if err != nil {
		return nil, err
	}
	p, err := d.inbox.Create(name, size)
	if err != nil {
		return nil, roomError(err)
	}
	return deposit{p, d.label(client)}, nil
}

// deposit is a file of the inbox as the TFTP server wants it.
type deposit struct {
	*images.Partial
	label string
}

// Write implements io.Writer.
func (d deposit) Write(b []byte) (int, error) {
	n, err := d.Partial.Write(b)
	return n, roomError(err)
}

// Label is the profile of the machine that writes.
func (d deposit) Label() string { return d.label }

// roomError says in the words of package tftp that the quota is used up.
func roomError(err error) error {
	if errors.Is(err, images.ErrFull) {
		return fmt.Errorf("%w: %w", tftp.ErrFull, err)
	}
	return err
}
