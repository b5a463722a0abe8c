//go:build !linux

package tftp

// listenLoop binds the sockets of the loop that serves best on this system.
func listenLoop(o Options) (loop, error) { return listenPlain(o) }
