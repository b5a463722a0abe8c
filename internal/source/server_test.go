package source

import (
	"bytes"
	"os/exec"
	"testing"
)

// startServer runs a server until the test ends, and waits until it listens.
func startServer(t *testing.T, cmd *exec.Cmd, address string) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		died <- cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, said.String())
		}
	})
	awaitPort(t, address, died)
}
