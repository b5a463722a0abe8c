package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"netbootd/client"
	"netbootd/internal/loaders"
)

// A loaderReport is what loaders finds on this host.
type loaderReport struct {
	Found   []client.Loader `json:"found"`
	Skipped []skippedLoader `json:"skipped"`
	Missing []missingLoader `json:"missing"`
}

// A skippedLoader is a file that looks like a loader and is not taken.
type skippedLoader struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// A missingLoader is a loader that this host could have.
type missingLoader struct {
	Arch string `json:"arch"`
	Kind string `json:"kind"`
	Hint string `json:"hint"`
}

// newLoadersCommand tells which boot loaders this host has.
func newLoadersCommand(configFile *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "loaders",
		Short: "List the boot loaders of this host, and how to get the others",
		Long: "List the boot loaders that were found on this host, for each kind of machine the one that is\n" +
			"handed out first; files that look like loaders and are not taken, and why; and the packages\n" +
			"that bring the others. It needs no running netbootd.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := readService(*configFile)
			if err != nil {
				return err
			}
			report := reportOf(loaders.Scan(loaderDirs(s)))
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printLoaders(cmd.OutOrStdout(), report)
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

func reportOf(set *loaders.Set) loaderReport {
	r := loaderReport{Found: []client.Loader{}, Skipped: []skippedLoader{}, Missing: []missingLoader{}}
	for _, l := range set.All() {
		r.Found = append(r.Found, client.Loader{Arch: l.Arch.String(), Kind: string(l.Kind), Name: l.TreeName(), Path: l.Path})
	}
	for _, s := range set.Skipped {
		r.Skipped = append(r.Skipped, skippedLoader{s.Path, s.Why})
	}
	for _, w := range set.Wanted() {
		r.Missing = append(r.Missing, missingLoader{w.Arch.String(), string(w.Kind), loaders.Hint(w.Arch, w.Kind)})
	}
	return r
}

// printLoaders writes a report for people.
func printLoaders(w io.Writer, r loaderReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "ARCH\tKIND\tBOOT LOADER\tFROM\n")
	for _, l := range r.Found {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Arch, l.Kind, l.Name, l.Path)
	}
	for i, s := range r.Skipped {
		if i == 0 {
			fmt.Fprint(t, "\nNOT TAKEN\tWHY\n")
		}
		fmt.Fprintf(t, "%s\t%s\n", s.Path, s.Why)
	}
	for i, m := range r.Missing {
		if i == 0 {
			fmt.Fprint(t, "\nMISSING\tKIND\tHOW TO GET IT\n")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", m.Arch, m.Kind, m.Hint)
	}
	return t.Flush()
}
