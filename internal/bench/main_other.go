//go:build !linux

// Bench needs Linux, and says so elsewhere.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it needs Linux (namespaces, epoll)")
	os.Exit(1)
}
