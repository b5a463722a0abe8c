//go:build !linux

package load

import (
	"context"
	"errors"
)

var errNeedsLinux = errors.New("the load generator needs Linux (recvmmsg, IP_PKTINFO)")

// Run needs Linux, and says so elsewhere.
func Run(context.Context, Job, *Pattern) (*Result, error) { return nil, errNeedsLinux }

// RunDiscover likewise.
func RunDiscover(context.Context, DiscoverJob) (*Result, error) { return nil, errNeedsLinux }
