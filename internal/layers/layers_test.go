package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "netbootd"

// arrows say which packages of ours a package may import, in its code and in its
// tests. A package that is not listed may not exist: drawing it here, and in
// docs/architecture.md, is part of adding it.
var arrows = map[string][]string{
	"bootmenu":  {},
	"tftp":      {},
	"client":    {},
	"dhcpproxy": {"bootmenu"},
	"metrics":   {"bootmenu", "dhcpproxy", "tftp"},

	"internal/images":   {},
	"internal/spelling": {},
	"internal/source":   {},

	"internal/newprofile": {"internal/bootfile"},
	"internal/bootfile":   {"bootmenu"},
	"internal/loaders":    {"bootmenu", "internal/bootfile"},
	"internal/boottree":   {"bootmenu", "internal/bootfile", "internal/images", "internal/loaders", "internal/spelling"},
	"internal/bootlog":    {"bootmenu", "dhcpproxy", "tftp"},
	"internal/config":     {"bootmenu", "dhcpproxy", "tftp", "internal/spelling"},
	"internal/simulate":   {"bootmenu", "dhcpproxy", "tftp", "internal/bootfile"},
	"internal/control":    {"client"},
	"internal/daemon": {
		"bootmenu", "dhcpproxy", "tftp", "metrics",
		"internal/bootlog", "internal/boottree", "internal/control", "internal/images", "internal/loaders",
	},

	"cmd/netbootd": {
		"bootmenu", "client", "dhcpproxy", "metrics",
		"internal/boottree", "internal/config", "internal/daemon", "internal/images", "internal/loaders",
		"internal/newprofile", "internal/simulate", "internal/source", "internal/spelling",
	},

	// What is not part of the program.
	"tftp/tftptest":     {"tftp"},
	"internal/layers":   {},
	"internal/e2e":      {"internal/e2e/lab"},
	"internal/e2e/lab":  {},
	"internal/e2e/demo": {"internal/e2e/lab"},

	"internal/bench":           {"internal/bench/load", "internal/e2e/lab"},
	"internal/bench/load":      {"tftp"},
	"internal/bench/pinserver": {},
}

// testArrows are what tests may import besides.
var testArrows = map[string][]string{
	"tftp":                {"tftp", "tftp/tftptest"},
	"client":              {"internal/control"},
	"internal/bench/load": {"tftp/tftptest"},
	"internal/daemon":     {"client", "tftp/tftptest"},
	"internal/newprofile": {"internal/config"},
	"internal/simulate":   {"tftp/tftptest"},
}

// only says which packages may import a library, and no others: so its types
// cannot leak through the house.
var only = map[string][]string{
	"github.com/fsnotify/fsnotify":        {"internal/daemon"},
	"github.com/insomniacslk/dhcp":        {"dhcpproxy", "internal/simulate", "internal/e2e"},
	"github.com/pelletier/go-toml":        {"internal/config"},
	"github.com/prometheus/client_golang": {"metrics"},
	"github.com/prometheus/procfs":        {"internal/daemon", "internal/bench"},
	"github.com/spf13/cobra":              {"cmd/netbootd"},
	"github.com/vishvananda/netlink":      {"internal/daemon", "internal/simulate"},
	"github.com/lmittmann/tint":           {"cmd/netbootd"},
	"github.com/pin/tftp":                 {"tftp", "internal/bench/pinserver"},
	"github.com/rogpeppe/go-internal":     {"cmd/netbootd"},
	"github.com/minio/minio-go":           {"internal/source"},
	"github.com/vbauerster/mpb":           {"cmd/netbootd"},
	"github.com/pkg/sftp":                 {"internal/source"},
	"golang.org/x/crypto/ssh":             {"internal/source"},
	"oras.land/oras-go":                   {"internal/source"},
	"github.com/opencontainers":           {"internal/source"},
	"github.com/klauspost/compress":       {"internal/source"},
	"github.com/therootcompany/xz":        {"internal/source"},
	"log/slog":                            {"cmd/netbootd", "internal/bootlog", "internal/config", "internal/daemon"},
}

// A listed package is what "go list" tells of one.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// list asks the go command for the packages of the module.
func list(t *testing.T) (packages []listed) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestArrowsAreAsDrawn(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		seen[name] = true
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s is not in the picture", name)
			continue
		}
		check(t, name, p.Imports, allowed)
		check(t, name+" (tests)", append(p.TestImports, p.XTestImports...), append(slices.Clone(allowed), append(testArrows[name], name)...))
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("package %s is in the picture and does not exist", name)
		}
	}
}

// check compares the imports of ours with those allowed.
func check(t *testing.T, name string, imports, allowed []string) {
	t.Helper()
	for _, i := range imports {
		ours, ok := strings.CutPrefix(i, module+"/")
		if ok && !slices.Contains(allowed, ours) {
			t.Errorf("%s imports %s, which is no arrow of the picture", name, ours)
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for library, rooms := range only {
				if i != library && !strings.HasPrefix(i, library+"/") {
					continue
				}
				if !slices.ContainsFunc(rooms, func(r string) bool { return name == r }) {
					t.Errorf("%s imports %s, which only %s may", name, i, strings.Join(rooms, ", "))
				}
			}
		}
	}
}

// directDependency is a line of go.mod that requires a module, and not only
// because another one does.
var directDependency = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

// documented is a row of the tables in docs/dependencies.md.
var documented = regexp.MustCompile("(?m)^\\| `(\\S+)` \\| \\S")

func TestDependenciesHaveTheirReason(t *testing.T) {
	t.Parallel()
	found := func(file string, re *regexp.Regexp) (names []string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range re.FindAllStringSubmatch(string(b), -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return names
	}
	required := found("../../go.mod", directDependency)
	if diff := cmp.Diff(required, found("../../docs/dependencies.md", documented)); diff != "" || len(required) == 0 {
		t.Error("docs/dependencies.md against go.mod (-required +documented):\n", diff)
	}
}
