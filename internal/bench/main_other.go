//go:build !linux

// Bench needs Linux, and says so elsewhere.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it needs Linux (namespaces, cgroups)")
	os.Exit(1)
}
