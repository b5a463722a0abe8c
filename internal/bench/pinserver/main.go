// Pinserver is the smallest useful TFTP server on github.com/pin/tftp, the
// library that Go programs commonly use. netbootd is measured against it.
//
//	pinserver ADDRESS:PORT DIRECTORY
package main

import (
	"fmt"
	"io"
	"os"

	pin "github.com/pin/tftp/v3"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintln(stderr, "usage: pinserver ADDRESS:PORT DIRECTORY")
		return 2
	}
	root, err := os.OpenRoot(args[1])
	if err != nil {
		fmt.Fprintln(stderr, "pinserver:", err)
		return 1
	}
	read := func(name string, to io.ReaderFrom) error { return sendFile(root, name, to) }
	if err := pin.NewServer(read, nil).ListenAndServe(args[0]); err != nil {
		fmt.Fprintln(stderr, "pinserver:", err)
		return 1
	}
	return 0
}

func sendFile(root *os.Root, name string, to io.ReaderFrom) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	to.(pin.OutgoingTransfer).SetSize(info.Size())
	_, err = to.ReadFrom(f)
	return err
}
