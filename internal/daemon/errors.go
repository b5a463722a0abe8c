package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"netbootd/dhcpproxy"
	"netbootd/internal/control"
	"netbootd/tftp"
)

// A StartError is a reason not to start, with what to do about it.
type StartError struct {
	Err  error
	Hint string // one line; empty if there is nothing to say
}

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *StartError) Unwrap() error { return e.Err }

// explain adds to an error of binding a port who holds it, and what to do.
func explain(err error) error {
	addr, ok := listenAddr(err)
	switch {
	case errors.Is(err, control.ErrRunning):
		return &StartError{err, "stop it first, or give this one another [control] socket"}
	case ok && errors.Is(err, syscall.EADDRINUSE):
		return &StartError{fmt.Errorf("%w%s", err, ownerText(addr.Port())), takenHint(addr.Port())}
	case ok && errors.Is(err, syscall.EADDRNOTAVAIL):
		return &StartError{err, fmt.Sprintf("no interface of this host has the address %s", addr.Addr())}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return &StartError{err, "run netbootd as root, or let it bind ports below 1024: setcap cap_net_bind_service=+ep /path/to/netbootd"}
	}
	return err
}

// listenAddr is the address that could not be bound.
func listenAddr(err error) (netip.AddrPort, bool) {
	var d *dhcpproxy.ListenError
	var t *tftp.ListenError
	switch {
	case errors.As(err, &d):
		return d.Addr, true
	case errors.As(err, &t):
		return t.Addr, true
	}
	return netip.AddrPort{}, false
}

// holderText names the processes that hold a UDP port, as a noun.
func holderText(port uint16) string {
	if owners, _ := udpOwners(port); len(owners) > 0 {
		return strings.Join(owners, " and ")
	}
	return "another program (not visible without root)"
}

// ownerText names the processes that hold a UDP port, for the end of a message.
func ownerText(port uint16) string {
	owners, complete := udpOwners(port)
	switch {
	case len(owners) > 0:
		return ", held by " + strings.Join(owners, " and ")
	case !complete:
		return " (the owner is not visible without root)"
	}
	return ""
}

// takenHint says what to do about a taken port.
func takenHint(port uint16) string {
	switch port {
	case dhcpproxy.PortDHCP:
		return "to answer beside another DHCP server run netbootd as root, or let it open packet sockets too: setcap cap_net_bind_service,cap_net_raw=+ep /path/to/netbootd (in a unit file also RestrictAddressFamilies=AF_PACKET)"
	case dhcpproxy.PortBoot:
		return "another PXE boot server runs on this host (dnsmasq takes this port if it has pxe-service lines); only one can answer"
	}
	return "another TFTP server may be running; stop it, or set [tftp] listen"
}
