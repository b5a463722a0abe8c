//go:build !linux

package load

import (
	"context"
	"errors"
)

// Run needs Linux, and says so elsewhere.
func Run(context.Context, Job, *Pattern) (*Result, error) {
	return nil, errors.New("the load generator needs Linux (epoll, recvmmsg)")
}
