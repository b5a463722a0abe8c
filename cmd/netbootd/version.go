package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"netbootd/metrics"
)

// version and revision are set by the Makefile at link time.
var (
	version  = "dev"
	revision = ""
)

// build says which build this is. A build by plain "go build" has its revision
// from the version control stamp, if there is one.
func build() metrics.Build {
	b := metrics.Build{Version: version, Revision: revision}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.GoVersion = info.GoVersion
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && b.Revision == "" {
			b.Revision = s.Value
		}
	}
	if b.Revision == "" {
		b.Revision = "unknown"
	}
	return b
}

// newVersionCommand tells which build this is.
func newVersionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Tell which build this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": b.Version, "revision": b.Revision, "goversion": b.GoVersion})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "netbootd %s (%s, %s)\n", b.Version, b.Revision, b.GoVersion)
			return err
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// addJSONFlag gives a command that reads the flag --json.
func addJSONFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

// printJSON writes one document, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
