// Package client talks to a running netbootd over its control API: HTTP with
// JSON, on a unix socket or with TLS and a token from another host. It is for test
// benches and for the netbootd command itself; the types of the API live here.
package client
