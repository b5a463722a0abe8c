package layers

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	namedTest    = regexp.MustCompile("`(Test\\w+)`")
)

// TestFirmwarePageNamesTestsThatExist holds docs/firmware.md to the tests: each
// client of its first table has one, and each that is named exists.
func TestFirmwarePageNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	exist := make(map[string]bool)
	err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile("../../" + path)
		for _, m := range testFunction.FindAllStringSubmatch(string(b), -1) {
			exist[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/firmware.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range namedTest.FindAllStringSubmatch(string(page), -1) {
		if !exist[m[1]] {
			t.Errorf("docs/firmware.md names %s, and there is no such test", m[1])
		}
	}
	_, clients, _ := strings.Cut(string(page), "\n|---|---|---|---|---|\n")
	clients, _, _ = strings.Cut(clients, "\n\n")
	rows := strings.Split(clients, "\n")
	for _, row := range rows {
		cells := strings.Split(row, " | ")
		if len(cells) != 5 || !namedTest.MatchString(cells[4]) {
			t.Errorf("no test is named in the row %s", row)
		}
	}
	if len(rows) < 15 {
		t.Errorf("only %d clients", len(rows))
	}
}
