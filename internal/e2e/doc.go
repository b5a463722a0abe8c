// Package e2e holds the tests that run the netbootd program against real
// firmware, stock TFTP clients and a real Prometheus, in the virtual network of
// package lab; and, in demo, the same for people to look at.
//
// The tests run with NETBOOTD_E2E=1 (`make e2e` sets it), as root, after
// `packages.sh e2e`. Without root or packages they are skipped and say why;
// with CI=true that is a failure instead. NETBOOTD_BIN names a netbootd to test
// in place of the one in this checkout.
package e2e
