package config

import (
	"os"
	"path/filepath"
	"testing"
)

// addSeeds gives a fuzz target the broken files and the examples.
func addSeeds(f *testing.F) {
	for _, pattern := range []string{"testdata/broken/*.toml", "../../examples/*.toml", "../../examples/*/*.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Add([]byte("a = [[1, {b = [\n# ] }\n2]}], 3]\r\n"))
	f.Add([]byte("log = { level = \"info\",\n# x\n}\n[log]\n"))
}

func FuzzParseService(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, src []byte) { parseAny(t, "service.toml", src) })
}

func FuzzParseProfile(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, src []byte) { parseAny(t, "profile.toml", src) })
}
