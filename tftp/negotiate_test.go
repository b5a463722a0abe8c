package tftp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	ethernet := offer{fits: fitting(1500, false), size: 12345}
	for _, c := range []struct {
		name    string
		asked   []Option
		offer   offer
		oack    []Option
		blksize Blksize // 0: the default
		window  Windowsize
		timeout time.Duration
	}{
		{name: "nothing asked, no OACK", offer: ethernet},
		{name: "unknown options only, no OACK", asked: []Option{{"multicast", ""}, {"x", "1"}}, offer: ethernet},
		{
			name:  "everything, in the client's order and spelling",
			asked: []Option{{"WindowSize", "16"}, {"TSIZE", "0"}, {"timeout", "5"}, {"bLkSiZe", "1468"}}, offer: ethernet,
			oack:    []Option{{"WindowSize", "16"}, {"TSIZE", "12345"}, {"timeout", "5"}, {"bLkSiZe", "1468"}},
			blksize: 1468, window: 16, timeout: 5 * time.Second,
		},
		{name: "a block larger than the MTU", asked: []Option{{"blksize", "1472"}}, offer: ethernet, oack: []Option{{"blksize", "1468"}}, blksize: 1468},
		{
			name: "a block larger than the MTU, IPv6", asked: []Option{{"blksize", "1468"}},
			offer: offer{fits: fitting(1500, true)}, oack: []Option{{"blksize", "1448"}}, blksize: 1448,
		},
		{
			name: "the MTU of loopback allows the largest", asked: []Option{{"blksize", "65464"}},
			offer: offer{fits: fitting(65536, false)}, oack: []Option{{"blksize", "65464"}}, blksize: 65464,
		},
		{
			name: "a tiny MTU does not go below 512", asked: []Option{{"blksize", "1468"}},
			offer: offer{fits: fitting(300, false)}, oack: []Option{{"blksize", "512"}}, blksize: 512,
		},
		{
			name: "an unknown MTU is Ethernet's", asked: []Option{{"blksize", "9000"}},
			offer: offer{fits: fitting(0, false)}, oack: []Option{{"blksize", "1468"}}, blksize: 1468,
		},
		{name: "less than 512 was asked", asked: []Option{{"blksize", "8"}}, offer: ethernet, oack: []Option{{"blksize", "8"}}, blksize: 8},
		{name: "blksize out of range below", asked: []Option{{"blksize", "7"}}, offer: ethernet},
		{name: "blksize out of range above", asked: []Option{{"blksize", "65465"}}, offer: ethernet},
		{name: "blksize beyond any number", asked: []Option{{"blksize", "99999999999999999999"}}, offer: ethernet},
		{name: "blksize with a sign", asked: []Option{{"blksize", "+512"}}, offer: ethernet},
		{name: "blksize without a number", asked: []Option{{"blksize", ""}}, offer: ethernet},
		{name: "blksize with more behind it", asked: []Option{{"blksize", "512 "}}, offer: ethernet},
		{
			name: "only the bad option is left out", asked: []Option{{"blksize", "x"}, {"tsize", "0"}}, offer: ethernet,
			oack: []Option{{"tsize", "12345"}},
		},
		{
			name: "of two the first counts", asked: []Option{{"blksize", "600"}, {"BLKSIZE", "700"}}, offer: ethernet,
			oack: []Option{{"blksize", "600"}}, blksize: 600,
		},
		{name: "tsize of an empty file", asked: []Option{{"tsize", "0"}}, offer: offer{fits: 512}, oack: []Option{{"tsize", "0"}}},
		{name: "a stale tsize from U-Boot", asked: []Option{{"tsize", "999"}}, offer: ethernet, oack: []Option{{"tsize", "12345"}}},
		{name: "tsize hidden for netascii", asked: []Option{{"tsize", "0"}}, offer: offer{fits: 512, size: -1}},
		{
			name: "the longest timeout", asked: []Option{{"timeout", "255"}}, offer: ethernet,
			oack: []Option{{"timeout", "255"}}, timeout: 255 * time.Second,
		},
		{name: "timeout out of range", asked: []Option{{"timeout", "0"}}, offer: ethernet},
		{name: "timeout out of range above", asked: []Option{{"timeout", "256"}}, offer: ethernet},
		{
			name: "the largest window", asked: []Option{{"windowsize", "65535"}}, offer: ethernet,
			oack: []Option{{"windowsize", "65535"}}, window: 65535,
		},
		{name: "windowsize out of range", asked: []Option{{"windowsize", "0"}}, offer: ethernet},
		{name: "windowsize out of range above", asked: []Option{{"windowsize", "65536"}}, offer: ethernet},
		{
			name: "the smaller limits count", asked: []Option{{"blksize", "1468"}, {"windowsize", "64"}},
			offer: offer{fits: 1468, limits: Limits{Blksize: 1024}.and(Limits{Blksize: 1400, Windowsize: 8})},
			oack:  []Option{{"blksize", "1024"}, {"windowsize", "8"}}, blksize: 1024, window: 8,
		},
		{
			name: "limits that were not reached", asked: []Option{{"blksize", "600"}, {"windowsize", "4"}},
			offer: offer{fits: 1468, limits: Limits{Blksize: 1400, Windowsize: 8}},
			oack:  []Option{{"blksize", "600"}, {"windowsize", "4"}}, blksize: 600, window: 4,
		},
		{
			name: "what either limit refuses", asked: []Option{{"WINDOWSIZE", "8"}, {"timeout", "5"}, {"blksize", "1024"}},
			offer: offer{fits: 1468, limits: Limits{RefuseOptions: []string{"windowsize"}}.and(Limits{RefuseOptions: []string{"timeout"}})},
			oack:  []Option{{"blksize", "1024"}}, blksize: 1024,
		},
		{name: "a limit below any block size refuses the option", asked: []Option{{"blksize", "600"}}, offer: offer{fits: 1468, limits: Limits{Blksize: 7}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := negotiate(c.asked, c.offer)
			var oack []Option
			if got.oack != nil {
				oack = got.oack.Options
			}
			if diff := cmp.Diff(c.oack, oack); diff != "" {
				t.Errorf("OACK, -want +got:\n%s", diff)
			}
			blksize, window := c.blksize, c.window
			if blksize == 0 {
				blksize = DefaultBlksize
			}
			if window == 0 {
				window = DefaultWindowsize
			}
			if got.blksize != blksize || got.windowsize != window || got.timeout() != c.timeout {
				t.Errorf("got blksize %d, windowsize %d, timeout %v, want %d, %d, %v",
					got.blksize, got.windowsize, got.timeout(), blksize, window, c.timeout)
			}
		})
	}
}
