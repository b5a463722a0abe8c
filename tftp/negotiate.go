package tftp

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a DATA packet has around its data, in bytes: IP header, UDP header and
// the TFTP header. IPv4 options and IPv6 extension headers are not counted.
const (
	overheadIPv4 = 20 + 8 + headerLen
	overheadIPv6 = 40 + 8 + headerLen
)

// defaultMTU is assumed where the interface cannot be told: Ethernet's.
const defaultMTU = 1500

// terms are what one transfer is carried out with.
type terms struct {
	blksize    Blksize
	windowsize Windowsize
	seconds    uint8   // the client's retransmission interval; 0 if it named none
	tsize      bool    // the size was told in the OACK
	oack       *Packet // the accepted options in the client's order and spelling; nil means no OACK
	*lifetimes
}

// lifetimes bound how long transfers live, see [Options]. They are the same for all
// of a server.
type lifetimes struct{ maxIdle, maxDuration time.Duration }

// timeout is the client's retransmission interval; 0 if it named none.
func (t terms) timeout() time.Duration { return time.Duration(t.seconds) * time.Second }

// patience is how long a transfer lives without progress. A client that named its
// interval has five of them.
func (t terms) patience() time.Duration { return max(t.maxIdle, 5*t.timeout()) }

// errOverdue is why a transfer ends that takes longer than maxDuration.
func (t terms) errOverdue() error {
	return fmt.Errorf("the transfer took longer than %v", t.maxDuration)
}

// offer is what the server's side brings to a negotiation.
type offer struct {
	fits   Blksize // largest block that needs no fragments, from fitting
	limits Limits  // of the server and the file together, from Limits.and
	size   int64   // of the file; -1 hides it (netascii)
	*lifetimes
}

// and joins two sets of limits: the smaller number counts, zero is no limit, and
// what either refuses is refused.
func (l Limits) and(m Limits) Limits {
	return Limits{
		Blksize:       smaller(l.Blksize, m.Blksize),
		Windowsize:    smaller(l.Windowsize, m.Windowsize),
		RefuseOptions: slices.Concat(l.RefuseOptions, m.RefuseOptions),
	}
}

// validate tells what is wrong with limits that somebody set.
func (l Limits) validate() error {
	if l.Blksize != 0 && (l.Blksize < MinBlksize || l.Blksize > MaxBlksize) {
		return fmt.Errorf("blksize %d is out of range, want %d to %d", l.Blksize, MinBlksize, MaxBlksize)
	}
	for _, name := range l.RefuseOptions {
		if _, known := optionRules[name]; !known {
			return fmt.Errorf("there is no option %q to refuse, want one of %s", name, strings.Join(OptionNames(), ", "))
		}
	}
	return nil
}

func smaller[T Blksize | Windowsize](a, b T) T {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// fitting is the largest block size whose DATA packets need no fragments on a
// link with this MTU. It is never below 512, for every host must take packets
// of 576 bytes (RFC 791 section 3.1) and 512 is what clients get without asking.
func fitting(mtu int, v6 bool) Blksize {
	if mtu <= 0 {
		mtu = defaultMTU
	}
	overhead := overheadIPv4
	if v6 {
		overhead = overheadIPv6
	}
	return Blksize(min(max(mtu-overhead, int(DefaultBlksize)), int(MaxBlksize)))
}

// negotiate settles the options of a request. An option that is unknown, refused,
// malformed or out of range is left out of the OACK as if it had not been asked;
// of an option that comes twice the first counts (RFC 2347 forbids it).
func negotiate(asked []Option, o offer) terms {
	t := terms{blksize: DefaultBlksize, windowsize: DefaultWindowsize, lifetimes: o.lifetimes}
	var accepted []Option
	seen := make(map[string]bool, len(optionRules))
	for _, option := range asked {
		name := strings.ToLower(option.Name)
		rule, known := optionRules[name]
		if !known || seen[name] || slices.Contains(o.limits.RefuseOptions, name) {
			continue
		}
		seen[name] = true
		n, ok := parseNumber(option.Value)
		if !ok {
			continue
		}
		if granted, ok := rule(&t, n, o); ok {
			accepted = append(accepted, Option{Name: option.Name, Value: strconv.FormatInt(granted, 10)})
		}
	}
	if len(accepted) > 0 {
		t.oack = &Packet{Op: OpOACK, Options: accepted}
	}
	return t
}

// parseNumber reads a decimal number without sign, as RFC 2347 has it.
func parseNumber(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// optionRules has one rule for each option known, by its name in lower case. A
// rule notes what it grants in t and returns the number for the OACK; ok is
// false if the option must be left out.
var optionRules = map[string]func(t *terms, asked int64, o offer) (granted int64, ok bool){
	"blksize":    grantBlksize,
	"tsize":      grantTsize,
	"timeout":    grantTimeout,
	"windowsize": grantWindowsize,
}

// OptionNames are the options that this server knows, in lower case and in the
// order of the alphabet.
func OptionNames() []string { return slices.Sorted(maps.Keys(optionRules)) }

// grantBlksize never grants more than was asked (RFC 2348): U-Boot and EDK2 end
// the transfer then.
func grantBlksize(t *terms, asked int64, o offer) (int64, bool) {
	if asked < int64(MinBlksize) || asked > int64(MaxBlksize) {
		return 0, false
	}
	granted := smaller(min(Blksize(asked), o.fits), o.limits.Blksize)
	if granted < MinBlksize {
		return 0, false
	}
	t.blksize = granted
	return int64(granted), true
}

// grantTsize tells the true size, also when it is 0, whatever number the client
// sent (RFC 2349): U-Boot sends the size of the file before.
func grantTsize(t *terms, _ int64, o offer) (int64, bool) {
	if o.size < 0 {
		return 0, false
	}
	t.tsize = true
	return o.size, true
}

// grantTimeout echoes the number of seconds or leaves the option out; another
// number is not allowed (RFC 2349).
func grantTimeout(t *terms, asked int64, _ offer) (int64, bool) {
	if asked < 1 || asked > math.MaxUint8 {
		return 0, false
	}
	t.seconds = uint8(asked)
	return asked, true
}

// grantWindowsize never grants more than was asked (RFC 7440 section 3).
func grantWindowsize(t *terms, asked int64, o offer) (int64, bool) {
	if asked < 1 || asked > int64(MaxWindowsize) {
		return 0, false
	}
	t.windowsize = smaller(Windowsize(asked), o.limits.Windowsize)
	return int64(t.windowsize), true
}
