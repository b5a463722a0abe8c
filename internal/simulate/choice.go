package simulate

import (
	"fmt"
	"slices"
)

// decide makes of the OFFERs what is next, and what is to be warned of. That two
// servers contradict each other is a fault if it depends on who answers first
// which one the client follows: a boot that is a matter of luck is none.
func (c player) decide(offers []*Offer) (p plan, warnings []string) {
	p = c.family.choose(c, offers)
	if p.fault != nil || p.boot == nil {
		return p, nil
	}
	if rival := c.rival(offers, p.boot); rival != nil {
		both := []*Offer{p.boot, rival}
		slices.SortFunc(both, func(a, b *Offer) int { return a.Sender().Compare(b.Sender()) })
		p.fault = finding(StepOffer, "two servers tell %s to boot different files, %s and %s, and it depends on who answers first which one it follows",
			c.Name, tells(both[0]), tells(both[1])).
			hint("switch one of them off, or let each answer machines of its own only")
		return p, nil
	}
	if len(p.visits) > 0 && p.visits[0].item != nil && !p.boot.Discovery.TimesOut {
		warnings = append(warnings, fmt.Sprintf("the PXE menu of %s waits until somebody chooses; its first item is played", p.boot.Sender()))
	}
	for _, o := range offers {
		if o.Sender() != p.boot.Sender() && (o.isPXE() || o.isHTTP()) {
			warnings = append(warnings, fmt.Sprintf("%s is a second boot server on this wire, %s; %s follows %s", o.Sender(), tells(o), c.Name, p.boot.Sender()))
		}
	}
	return p, warnings
}

// rival is another server's OFFER with another boot file, which the client would
// follow if the OFFERs came in another order; or nil.
func (c player) rival(offers []*Offer, followed *Offer) *Offer {
	for i := range offers {
		for _, to := range []int{0, len(offers) - 1} {
			other := c.family.choose(c, moved(offers, i, to)).boot
			if other != nil && other.Sender() != followed.Sender() && other.File() != followed.File() {
				return other
			}
		}
	}
	return nil
}

// moved is the OFFERs as if the one at index from had come at index to.
func moved(offers []*Offer, from, to int) []*Offer {
	order := slices.Insert(slices.Delete(slices.Clone(offers), from, from+1), to, offers[from])
	for i, o := range order {
		at := *o
		at.After = offers[i].After
		order[i] = &at
	}
	return order
}

// tells is who names which boot file.
func tells(o *Offer) string {
	if o.File() == "" {
		return fmt.Sprintf("%s with none in its OFFER", o.Sender())
	}
	return fmt.Sprintf("%s with %q", o.Sender(), o.File())
}
