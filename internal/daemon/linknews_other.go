//go:build !linux

package daemon

import "errors"

// linkNews cannot be had: [Run] is for Linux, the other systems only build it.
type linkNews struct{}

func openLinkNews() (*linkNews, error) { return nil, errors.ErrUnsupported }

func (*linkNews) wait() error { return errors.ErrUnsupported }

func (*linkNews) close() {}
