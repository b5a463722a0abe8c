package tftp

import "golang.org/x/sys/unix"

// SwitchChecksumsOff makes the kernel refuse to cut messages of s into segments:
// it does not where no checksums are computed.
func SwitchChecksumsOff(s *Server) error {
	for sock := range s.loop.(*batchLoop).sockets {
		var failure error
		if err := sock.out.Control(func(fd uintptr) {
			failure = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
		}); err != nil {
			return err
		}
		if failure != nil {
			return failure
		}
	}
	return nil
}

// Remembered counts what a server keeps of transfers, the memory of clients'
// ports aside.
func Remembered(s *Server) (n int) {
	l := s.loop.(*batchLoop)
	for _, w := range l.workers {
		w.mu.Lock()
		n += len(w.flows) + w.wheel.count
		if w.dally.first != nil || w.dally.last != nil {
			n++
		}
		w.mu.Unlock()
	}
	l.mu.Lock()
	n += l.alive
	l.mu.Unlock()
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return n + len(s.gate.clients) + s.gate.running
}

// Pinned is how many chunks of files a server's cache cannot let go.
func Pinned(s *Server) (n int) {
	c := s.loop.(*batchLoop).cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		if k.refs.Load() > 1 {
			n++
		}
	}
	return n
}

// Cached is how many bytes of files a server keeps.
func Cached(s *Server) int64 {
	c := s.loop.(*batchLoop).cache
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
