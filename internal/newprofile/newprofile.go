// Package newprofile writes profiles to begin with, from templates and from what lies
// in a directory of images. It writes text and reads headers, and touches no file of
// the configuration.
package newprofile

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"text/template"
)

//go:embed templates
var files embed.FS

// A Template is a kind of profile that can be written.
type Template struct {
	Name  string
	About string // one line
}

// extension is that of a template's file.
const extension = ".toml"

// Templates are those that there are, by name.
func Templates() []Template {
	entries, err := files.ReadDir("templates")
	if err != nil {
		panic(err) // they are in the program
	}
	var list []Template
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), extension)
		if !ok {
			continue
		}
		text, err := files.ReadFile(path.Join("templates", e.Name()))
		if err != nil {
			panic(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		list = append(list, Template{name, strings.TrimSuffix(strings.TrimPrefix(first, "# "), ".")})
	}
	return list
}

// A Request says which profile to write.
type Request struct {
	Name     string   // of the profile
	Template string   // of [Templates]
	Images   string   // path of the images directory on the host, for people
	Dir      string   // in the boot tree, that was scanned; empty: the template's usual one
	Found    []Image  // what is in Dir
	MACs     []string // machines that it is for
}

// content is what a template is filled with.
type content struct {
	Name      string
	Images    string
	Dir       string
	MACs      []string
	Kernel    string
	Initrd    []string
	Archs     []archKernel // what other archs get
	BootFile  string
	BootFiles []archFile
	Others    []string // names, with what they are
}

type archKernel struct {
	Arch   string
	Kernel string
	Initrd []string
}

type archFile struct{ Arch, File string }

// Write is the text of a profile. The error says what is missing, for people.
func Write(r Request) ([]byte, error) {
	fill, ok := fillers[r.Template]
	if !ok {
		return nil, fmt.Errorf("there is no template %q", r.Template)
	}
	c := fill.usual
	c.Name, c.Images, c.MACs = r.Name, r.Images, r.MACs
	if r.Dir != "" {
		c.Dir = r.Dir
		if err := fill.scan(&c, r.Found); err != nil {
			return nil, err
		}
	}
	if fill.needsMAC && len(r.MACs) == 0 {
		return nil, fmt.Errorf("a board is told by its address, and there is none: name it with --mac")
	}
	t, err := template.New(r.Template+extension).Delims("<<", ">>").Funcs(functions).ParseFS(files, "templates/"+r.Template+extension, "templates/common.tmpl")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, c); err != nil {
		return nil, err
	}
	return append(bytes.TrimSpace(b.Bytes()), '\n'), nil
}

// functions are those of the templates.
var functions = template.FuncMap{"toml": quoted, "list": quotedList}

// quoted is a text as TOML has it: JSON's escapes are among those of TOML.
func quoted(s string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSpace(b.String()), err
}

// quotedList is a list of texts in one line.
func quotedList(list []string) (string, error) {
	var all []string
	for _, s := range list {
		q, err := quoted(s)
		if err != nil {
			return "", err
		}
		all = append(all, q)
	}
	return "[" + strings.Join(all, ", ") + "]", nil
}
