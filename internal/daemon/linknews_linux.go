package daemon

import (
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// linkNews is what the kernel tells of links and their addresses.
type linkNews struct{ kernel *nl.NetlinkSocket }

func openLinkNews() (*linkNews, error) {
	kernel, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR)
	if err != nil {
		return nil, err
	}
	return &linkNews{kernel}, nil
}

// wait returns when something has changed. News that got lost count too.
func (n *linkNews) wait() error {
	_, _, err := n.kernel.Receive()
	if errors.Is(err, unix.ENOBUFS) {
		return nil
	}
	return err
}

// close ends a wait.
func (n *linkNews) close() { n.kernel.Close() }
