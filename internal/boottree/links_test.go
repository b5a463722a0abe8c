package boottree

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netbootd/bootmenu"
)

func TestLinksForgetInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Links
		l.Learn(bootmenu.Machine{MAC: pcMAC, Addr: pcAddr})
		l.Decided(bootmenu.Machine{MAC: pcMAC}, bootmenu.Decision{File: "x"})
		time.Sleep(decisionAge - time.Second)
		if _, ok := l.promised(pcMAC); !ok {
			t.Error("a decision was forgotten too early")
		}
		time.Sleep(2 * time.Second)
		if _, ok := l.promised(pcMAC); ok {
			t.Error("a decision outlived its time")
		}
		if mac, ok := l.MAC(pcAddr); !ok || mac != pcMAC {
			t.Error("an address was forgotten too early")
		}
		time.Sleep(linkAge)
		if _, ok := l.MAC(pcAddr); ok {
			t.Error("an address outlived its time")
		}
	})
}

func TestLinksNewestWordWins(t *testing.T) {
	t.Parallel()
	var l Links
	l.Learn(bootmenu.Machine{MAC: pcMAC, Addr: pcAddr})
	l.Learn(bootmenu.Machine{MAC: boardMAC, Addr: pcAddr})
	if mac, _ := l.MAC(pcAddr); mac != boardMAC {
		t.Errorf("got %v, want the machine that was heard last", mac)
	}
	l.Decided(bootmenu.Machine{MAC: pcMAC, Addr: boardAddr}, bootmenu.Decision{})
	if mac, ok := l.MAC(boardAddr); !ok || mac != pcMAC {
		t.Errorf("got %v, want the machine that named its address on port 4011", mac)
	}
}

func TestLinksAreBoundedAndKeepTheNewest(t *testing.T) {
	t.Parallel()
	var l Links
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)}) }
	l.Learn(bootmenu.Machine{MAC: pcMAC, Addr: addr(0)})
	for i := 1; i <= maxLinks; i++ {
		l.Learn(bootmenu.Machine{MAC: boardMAC, Addr: addr(i)})
	}
	if len(l.addrs.elems) != maxLinks || l.addrs.order.Len() != maxLinks {
		t.Errorf("%d addresses are remembered, want %d", len(l.addrs.elems), maxLinks)
	}
	if _, ok := l.MAC(addr(0)); ok {
		t.Error("the oldest must go first")
	}
	if _, ok := l.MAC(addr(maxLinks)); !ok {
		t.Error("the newest must stay")
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a/b", `\\a\.\b`, "../x", "C:/x", "a/..", "", "/", "a\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := Clean(name)
		if err != nil {
			return
		}
		if bootmenu.CheckPath(clean) != nil {
			t.Errorf("Clean(%q) = %q, which is no plain path", name, clean)
		}
		if again, err := Clean(clean); err != nil || again != clean {
			t.Errorf("Clean(%q) = %q, %v", clean, again, err)
		}
	})
}
