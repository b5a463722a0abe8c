package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"netbootd/bootmenu"
	"netbootd/internal/control"
)

// BenchmarkReload puts a plan of 1000 profiles in force, of which each starts a
// kernel of its own: their files are looked at, too. What it takes to read the
// profiles is not in it.
func BenchmarkReload(b *testing.B) {
	dir := b.TempDir()
	images := filepath.Join(dir, "images")
	if err := os.Mkdir(images, 0o755); err != nil {
		b.Fatal(err)
	}
	var plan Plan
	for i := range 1000 {
		name := fmt.Sprintf("p%04d", i)
		if err := os.WriteFile(filepath.Join(images, name), []byte("a kernel"), 0o644); err != nil {
			b.Fatal(err)
		}
		mac, err := bootmenu.ParseMACPattern(fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&0xff))
		if err != nil {
			b.Fatal(err)
		}
		plan.Profiles = append(plan.Profiles, &bootmenu.Profile{
			Name: name, Title: name, Autostart: true, Boot: bootmenu.Boot{Kernel: name}, Match: &bootmenu.Match{MAC: []bootmenu.Pattern{mac}},
		})
	}
	settings := Settings{Images: images, State: filepath.Join(dir, "state"), Control: ControlSettings{Socket: filepath.Join(dir, "s")}, TFTP: TFTPSettings{Listen: "127.0.0.1:0"}}
	d, err := newDaemon(Options{Settings: settings, Logger: slog.New(slog.DiscardHandler), Load: func() (Settings, Plan, error) { return settings, plan, nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer d.close()
	defer func() { _ = d.listener.shutdown(context.Background()) }()
	var last control.Reload
	for b.Loop() {
		last = d.Reload()
	}
	if !last.OK {
		b.Fatalf("%+v", last)
	}
}
