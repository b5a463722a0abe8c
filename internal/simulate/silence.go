package simulate

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// isUnreachable tells whether an error is an ICMP error that came back, or the
// lack of a route.
func isUnreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// silence says how a server at that host and port failed to answer; ok is false if
// err means something else.
func silence(err error, at string) (text string, ok bool) {
	host, _, _ := net.SplitHostPort(at)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nobody answers on " + at, true
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens on " + at, true
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no host " + host, true
	case errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to " + host, true
	}
	return "", false
}
