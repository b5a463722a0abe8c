package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"netbootd/bootmenu"
)

// BenchmarkLoad1000Profiles is what a reload does with 1000 profile files before
// they are in force: read, parse, check, look for conflicts, and make a catalog.
func BenchmarkLoad1000Profiles(b *testing.B) {
	dir := b.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "profiles.d"), 0o755); err != nil {
		b.Fatal(err)
	}
	write("netbootd.toml", "profiles = \"profiles.d\"\nimages = \"images\"\nstate = \"state\"\n")
	matches := []string{
		"mac = [\"02:00:00:00:%02x:%02x\"]", "mac = [\"02:00:%02x:%02x\"]", "id = [\"4c4c4544-0042-3510-8056-b4c04f4d%02x%02x\"]",
		"subnet = [\"198.18.%d.%d/32\"]", "user_class = [\"lab-%d-%d\"]", "mac = [\"06:00:%02x:%02x:*\"]\narch = [\"x86-bios\", \"x64-uefi\"]",
	}
	for i := range 1000 {
		match := fmt.Sprintf(matches[i%len(matches)], i>>8, i&0xff)
		write(fmt.Sprintf("profiles.d/p%04d.toml", i), fmt.Sprintf(`# One of many.
title   = "Machine %d"
kernel  = "debian12/linux"
initrd  = ["debian12/initrd.gz"]
cmdline = "console=ttyS0 --- quiet"

[match]
%s
`, i, match))
	}
	for b.Loop() {
		_, plan, err := loadPlan(filepath.Join(dir, "netbootd.toml"))
		if err != nil || len(plan.Profiles) != 1000 || len(plan.Broken) > 0 {
			b.Fatalf("%d profiles, %d broken, %v", len(plan.Profiles), len(plan.Broken), err)
		}
		if conflicts := bootmenu.Conflicts(plan.Profiles); conflicts != nil {
			b.Fatal(conflicts)
		}
		bootmenu.NewCatalog(plan.Profiles, nil, bootmenu.Menu{})
	}
}
