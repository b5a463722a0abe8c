//go:build linux

package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Get fetches a page by HTTP from a place. The URL names the host by address:
// there is no DNS. An answer other than 200 is an error.
func (n *Network) Get(ctx context.Context, at Place, url string) ([]byte, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = n.Do(at, func() error {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}
