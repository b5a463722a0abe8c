package tftp

// ListenPlain is [Listen] with the plain loop, which all systems have.
func ListenPlain(o Options) (*Server, error) { return listenWith(o, listenPlain) }
