package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests of this file also write what they check, with -update: the page of
// all keys and the two reference files. See the go:generate line in doc.go.

func TestReferencePage(t *testing.T) {
	compareWithFile(t, "../../docs/configuration.md", referencePage())
}

func TestReferenceServiceFile(t *testing.T) {
	const file = "../../examples/reference/netbootd.toml"
	compareWithFile(t, file, referenceFile(serviceIntro, testServiceSchema()))
	if _, err := ReadService(file); err != nil {
		t.Error(err)
	}
	checkAllKeysSet(t, readFile(t, file), testServiceSchema())
}

func TestReferenceProfile(t *testing.T) {
	const dir = "../../examples/reference"
	file := filepath.Join(dir, "profile.toml")
	compareWithFile(t, file, referenceFile(profileIntro, testProfileSchema()))
	src := readFile(t, file)
	if _, problems := ParseProfile(file, src); len(problems) > 0 {
		t.Error(problems)
	}
	checkAllKeysSet(t, src, testProfileSchema())
}

// TestEveryKeyIsExplained looks for rows of the schema that are not complete,
// and for examples and defaults that would be refused.
func TestEveryKeyIsExplained(t *testing.T) {
	t.Parallel()
	for _, schema := range []*table{testServiceSchema(), testProfileSchema()} {
		eachTable(schema, func(name string, tab *table) {
			if tab.doc == "" && tab != schema {
				t.Errorf("[%s] has no doc", name)
			}
			for _, k := range tab.keys {
				if k.doc == "" || k.def == "" || k.example == "" || k.value.want == "" {
					t.Errorf("%s in [%s]: doc, default, example or kind is missing", k.name, name)
				}
				checkLiteral(t, &k, k.example)
				if isLiteral(k.def) {
					checkLiteral(t, &k, k.def)
				}
			}
		})
	}
}

// TestDefaultsAreAsPrinted sets every key of the service to the default that the
// schema prints.
func TestDefaultsAreAsPrinted(t *testing.T) {
	t.Parallel()
	var sb strings.Builder
	eachTable(testServiceSchema(), func(name string, tab *table) {
		if name == "tftp.write" || name == "dhcp.quirk" {
			return // there is none by default, and it says so
		}
		if name != "" {
			fmt.Fprintf(&sb, "[%s]\n", name)
		}
		for _, k := range tab.keys {
			if isLiteral(k.def) {
				fmt.Fprintf(&sb, "%s = %s\n", k.name, k.def)
			}
		}
	})
	got, problems := ParseService("defaults.toml", "/", []byte(sb.String()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := DefaultService()
	want.File = "defaults.toml"
	compareServices(t, got, want)
}

// checkLiteral reads one value as it is printed by its own row.
func checkLiteral(t *testing.T, k *key, literal string) {
	t.Helper()
	d := newDocument("literal.toml", []byte(k.name+" = "+literal+"\n"))
	if e, ok := d.parse().byName[k.name]; ok {
		k.value.read(d, k, e.value)
	}
	if len(d.problems) > 0 {
		t.Error(d.problems)
	}
}

// checkAllKeysSet looks for each key of the schema in a file. A key that cannot
// stand there together with another one may be switched off with a # in front.
func checkAllKeysSet(t *testing.T, src []byte, schema *table) {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(string(src), "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			line = rest
		}
		lines = append(lines, line)
	}
	d := newDocument("all.toml", []byte(strings.Join(lines, "\n")))
	root := d.parse()
	eachTable(schema, func(name string, tab *table) {
		n := root
		for elem := range strings.SplitSeq(name, ".") {
			if e, ok := n.byName[elem]; ok {
				n = e.value
			}
			if n.kind == kindTables {
				n = n.items[0]
			}
		}
		for _, k := range tab.keys {
			if _, ok := n.byName[k.name]; !ok {
				t.Errorf("%s is not set in [%s]", k.name, name)
			}
		}
	})
	if len(d.problems) > 0 {
		t.Error(d.problems)
	}
}

func testServiceSchema() *table {
	return serviceSchema(new(Service), new(Write), new([]*quirkDraft), "/etc/netbootd")
}

func testProfileSchema() *table { return profileSchema(new(draft)) }

// eachTable calls f for a table and all below it, in the order of the schema.
func eachTable(schema *table, f func(name string, tab *table)) {
	eachBelow("", schema, f)
}

// eachBelow is eachTable for a table at a path.
func eachBelow(path string, tab *table, f func(name string, tab *table)) {
	if tab.each != nil {
		one := tab.each(0)
		one.name, one.doc, one.each = tab.name, tab.doc, tab.each
		f(path, &one)
		return
	}
	f(path, tab)
	for i := range tab.tables {
		eachBelow(join(path, tab.tables[i].name), &tab.tables[i], f)
	}
	if tab.named == nil {
		return
	}
	one, err := tab.named(tab.sample)
	if err != nil {
		panic(err) // the sample is ours
	}
	one.doc, one.sample = tab.doc, tab.sample
	f(join(path, tab.sample), &one)
}

// isLiteral tells whether a default can stand in a file.
func isLiteral(def string) bool {
	return strings.ContainsAny(def[:1], `"[0123456789`) || def == "true" || def == "false"
}

func TestMain(m *testing.M) {
	code := m.Run()
	if *update && code == 0 {
		fmt.Fprintln(os.Stderr, "expected files written; look at the difference before you commit it")
	}
	os.Exit(code)
}
