// Package config turns the TOML files of netbootd into checked values: the
// service's settings ([ParseService]) and boot profiles ([ParseProfile]).
//
// It is strict. A key that is not known is an error, and so is a value out of
// its range; nothing is corrected in silence. All problems of a file are
// reported at once, each with line and column, so that one run of "netbootd
// check" is enough to mend a file. The one exception is a syntax error: what
// stands behind it cannot be understood, so the file is read up to there.
//
// Each key is one row of a table (service_schema.go, profile_schema.go). The
// same rows read the files, word the problems, and make docs/configuration.md
// and the reference files under examples:
//
//	go generate ./internal/config
//
// Parsing touches no file, network or clock. [ReadService] and [ReadProfiles]
// are the only functions that read files.
package config

//go:generate go test -run ^TestReference -update .
