package simulate

import "fmt"

// Step is where in its boot a firmware stops. It is a closed set.
type Step string

// The steps, in the order of a boot.
const (
	StepDiscover   Step = "discover"    // no OFFER, or none with an address
	StepOffer      Step = "offer"       // the OFFERs do not say what to boot
	StepLease      Step = "lease"       // the lease was refused (only with Options.Lease)
	StepBootServer Step = "boot_server" // the boot server, on port 4011, does not say it either
	StepFetch      Step = "fetch"       // the boot file cannot be had
	StepLoader     Step = "loader"      // the boot file is none that this firmware starts
)

// A Finding is what is wrong: a step, one sentence, and what to do.
type Finding struct {
	Step Step   `json:"step"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// finding makes a Finding without a hint.
func finding(step Step, format string, args ...any) *Finding {
	return &Finding{Step: step, Text: fmt.Sprintf(format, args...)}
}

// hint is f with a hint.
func (f *Finding) hint(format string, args ...any) *Finding {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}
