package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/internal/boottree"
	"netbootd/internal/config"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
)

// A fault is one line of what check finds.
type fault struct {
	Kind   string `json:"kind"` // broken: a file must be mended; missing: on this host; warning: may be right
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`

	line string // as it is printed
}

// The kinds of faults.
const (
	kindBroken  = "broken"
	kindMissing = "missing"
	kindWarning = "warning"
)

// newCheckCommand checks configuration files and what they need of this host.
func newCheckCommand(configFile *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Check the configuration, and whether this host has what it needs",
		Long: "Check netbootd.toml and every profile, by the code that netbootd run uses; then tell which\n" +
			"images, boot loaders and interfaces are missing on this host. With files, check these\n" +
			"profiles only. Exit code 2 if a file is broken, 1 if something is missing; warnings are 0.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			faults, err := check(*configFile, args)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), faults); err != nil {
					return err
				}
			} else if err := printFaults(cmd.OutOrStdout(), faults); err != nil {
				return err
			}
			return verdict(faults)
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// check looks at the files and at the host.
func check(configFile string, files []string) ([]fault, error) {
	s, err := readService(configFile)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		s = config.DefaultService() // what the profiles need cannot be told, but the rest can
	case err != nil:
		return nil, err
	}
	faults := broken(problems)
	profiles, bad, err := profilesToCheck(s, files)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		faults = append(faults, broken(bad[name])...)
	}
	faults = append(faults, broken(conflicts(s, files, profiles))...)
	if problems != nil {
		return faults, nil
	}
	if len(files) == 0 && bad[s.Menu.Default] == nil {
		if err := s.Menu.CheckDefault(pointers(profiles)); err != nil {
			faults = append(faults, broken(config.Problems{{File: s.File, Text: err.Error()}})...)
		}
	}
	faults = append(faults, hostFaults(s, profiles)...)
	if len(files) == 0 {
		faults = append(faults, interfaceFaults(s)...)
	}
	return faults, nil
}

// profilesToCheck are those of the service, or the files that were named.
func profilesToCheck(s config.Service, files []string) ([]bootmenu.Profile, map[string]config.Problems, error) {
	if len(files) == 0 {
		return readProfiles(s)
	}
	var good []bootmenu.Profile
	bad := make(map[string]config.Problems)
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errConfig, err)
		}
		p, problems := config.ParseProfile(filepath.ToSlash(f), src)
		if len(problems) > 0 {
			bad[f] = problems
			continue
		}
		good = append(good, p)
	}
	return good, bad, nil
}

// conflicts are the profiles that cannot be used beside one before them by name.
func conflicts(s config.Service, files []string, profiles []bootmenu.Profile) (problems config.Problems) {
	fileOf := func(name string) string {
		file := name + ".toml"
		if i := slices.IndexFunc(files, func(f string) bool { return filepath.Base(f) == file }); i >= 0 {
			return filepath.ToSlash(files[i])
		}
		return path.Join(filepath.Base(s.Profiles), file)
	}
	ordered := pointers(profiles)
	slices.SortFunc(ordered, func(a, b *bootmenu.Profile) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range bootmenu.Conflicts(ordered) {
		problems = append(problems, config.Problem{File: fileOf(c.Refused), Text: c.Text(fileOf(c.Kept)), Hint: c.Hint()})
	}
	return problems
}

func pointers(profiles []bootmenu.Profile) []*bootmenu.Profile {
	list := make([]*bootmenu.Profile, len(profiles))
	for i := range profiles {
		list[i] = &profiles[i]
	}
	return list
}

// broken is problems of a file as faults.
func broken(problems config.Problems) []fault {
	var faults []fault
	for _, p := range problems {
		faults = append(faults, fault{Kind: kindBroken, File: p.File, Line: p.Line, Column: p.Column, Text: p.Text, Hint: p.Hint, line: p.String()})
	}
	return faults
}

// hostFaults is what the profiles need and this host lacks.
func hostFaults(s config.Service, profiles []bootmenu.Profile) []fault {
	store, err := images.Open(s.Images)
	if err != nil {
		if len(profiles) == 0 {
			return nil // netbootd run makes the directory
		}
		if errors.Is(err, fs.ErrNotExist) {
			return []fault{missing(fmt.Sprintf("images directory %s is missing", s.Images), "netbootd run makes it; or name another with images in netbootd.toml")}
		}
		return []fault{missing(fmt.Sprintf("images directory: %v", err), "")}
	}
	defer func() { _ = store.Close() }()
	made, err := os.MkdirTemp("", "netbootd-check-")
	if err != nil {
		return []fault{missing(fmt.Sprintf("a directory for trying boot loaders: %v", err), "")}
	}
	defer func() { _ = os.RemoveAll(made) }()
	tree := boottree.New(boottree.Options{Images: store, Links: &boottree.Links{}, Builder: loaders.NewBuilder(made)})
	tree.SetPlan(bootmenu.NewCatalog(nil, nil, bootmenu.Menu{}), loaders.Scan(loaderDirs(s)))
	var faults []fault
	survey := tree.Survey()
	for i := range profiles {
		for _, f := range survey.Verify(&profiles[i]) {
			found := missing(fmt.Sprintf("profile %s: %s", f.Profile, f.Text), f.Hint)
			switch {
			case f.Warning:
				found.Kind, found.line = kindWarning, "warning: "+found.Text
			case f.Fault == boottree.FaultWrongFile:
				found.Kind = kindBroken // it is there, and it is not what the profile says
			}
			faults = append(faults, found)
		}
	}
	return faults
}

// interfaceFaults is what the interfaces to be served lack.
func interfaceFaults(s config.Service) []fault {
	if !s.DHCP.Enabled {
		return nil
	}
	all, err := dhcpproxy.HostInterfaces()
	if err != nil {
		return []fault{missing(fmt.Sprintf("interfaces of this host: %v", err), "")}
	}
	served, refused := dhcpproxy.Policy{Names: s.Interfaces}.Choose(all)
	var faults []fault
	for _, r := range refused {
		if slices.Contains(s.Interfaces, r.Name) {
			faults = append(faults, missing(fmt.Sprintf("interface %s: %s", r.Name, r.Why), "bring it up with an IPv4 address, or name another with interfaces in netbootd.toml"))
		}
	}
	if len(served) == 0 && len(faults) == 0 {
		faults = append(faults, missing("no interface of this host is up with an IPv4 address and fit to be served", "bring one up, or name it with interfaces in netbootd.toml"))
	}
	return faults
}

func missing(text, hint string) fault {
	return fault{Kind: kindMissing, Text: text, Hint: hint, line: text}
}

// printFaults writes a line for each fault, with its hint, and one that sums up.
func printFaults(w io.Writer, faults []fault) error {
	counts := make(map[string]int)
	for _, f := range faults {
		counts[f.Kind]++
		if _, err := fmt.Fprintln(w, f.line); err != nil {
			return err
		}
		if f.Hint == "" {
			continue
		}
		if _, err := fmt.Fprintln(w, "hint: "+f.Hint); err != nil {
			return err
		}
	}
	if len(faults) == 0 {
		_, err := fmt.Fprintln(w, "everything is good")
		return err
	}
	warnings := ""
	if n := counts[kindWarning]; n > 0 {
		warnings = fmt.Sprintf(", %d warnings", n)
	}
	_, err := fmt.Fprintf(w, "%d broken, %d missing%s\n", counts[kindBroken], counts[kindMissing], warnings)
	return err
}

// verdict is the exit code for what was found.
func verdict(faults []fault) error {
	switch {
	case slices.ContainsFunc(faults, func(f fault) bool { return f.Kind == kindBroken }):
		return exitError(exitUsage)
	case slices.ContainsFunc(faults, func(f fault) bool { return f.Kind == kindMissing }):
		return exitError(exitFailed)
	}
	return nil
}
