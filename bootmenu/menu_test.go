package bootmenu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// entry is a profile of the menu for tables.
func entry(order int, group, title string) *Profile {
	return &Profile{Name: strings.ToLower(title), Title: title, Order: order, Group: group, Boot: Boot{Kernel: "linux"}}
}

func TestTheMenuIsInOrderWhateverTheOrderOfFiles(t *testing.T) {
	t.Parallel()
	profiles := []*Profile{entry(-1, "z", "Z"), entry(0, "", "A"), entry(0, "", "D"), entry(0, "b", "C"), entry(5, "a", "B")}
	var want []string
	for _, p := range profiles {
		want = append(want, p.Name)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rng.Shuffle(len(profiles), func(a, b int) { profiles[a], profiles[b] = profiles[b], profiles[a] })
		var got []string
		for _, p := range NewCatalog(profiles, testLoaders, Menu{}).Select(Machine{Arch: ArchX64UEFI}).Menu {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

func TestOnlyAssignmentsGiveAProfileForOneBoot(t *testing.T) {
	t.Parallel()
	once := entry(0, "", "Once")
	once.Once = true
	if d := NewCatalog([]*Profile{once}, testLoaders, Menu{}).Select(Machine{Arch: ArchX64UEFI}); d.Reason != ReasonNoProfile {
		t.Errorf("got %+v", d)
	}
	once.Match = &Match{All: true}
	if d := NewCatalog([]*Profile{once}, testLoaders, Menu{}).Select(Machine{Arch: ArchX64UEFI}); d.Reason != ReasonNoProfile {
		t.Errorf("with a match: got %+v", d)
	}
}

func TestTheMenusDefault(t *testing.T) {
	t.Parallel()
	first, second, said := entry(0, "", "A"), entry(0, "", "B"), entry(0, "", "C")
	said.Default = true
	onlyBIOS := &Profile{Name: "bios", Title: "Z", Arch: map[Arch]Overlay{ArchX86BIOS: {BootFile: text("x")}}}
	for name, c := range map[string]struct {
		profiles []*Profile
		look     Menu
		want     string
	}{
		"is the disk":                          {[]*Profile{first, second}, Menu{}, ""},
		"is the profile that says so":          {[]*Profile{first, said}, Menu{}, "c"},
		"is the one that the settings name":    {[]*Profile{first, said}, Menu{Default: "a"}, "a"},
		"is the disk if that is not there":     {[]*Profile{first, said}, Menu{Default: "x"}, ""},
		"is the disk where that boots nothing": {[]*Profile{first, onlyBIOS}, Menu{Default: "bios"}, ""},
	} {
		d := NewCatalog(c.profiles, testLoaders, c.look).Select(Machine{Arch: ArchX64UEFI})
		if want := (Menu{Title: DefaultMenuTitle, Default: c.want, Timeout: DefaultMenuTimeout, Loader: LoaderIPXE}); d.Look != want {
			t.Errorf("the default %s: got %+v, want %+v", name, d.Look, want)
		}
	}
}

func TestCheckDefault(t *testing.T) {
	t.Parallel()
	once, matching := entry(0, "", "Once"), entry(0, "", "Matching")
	once.Once, matching.Match = true, &Match{All: true}
	profiles := []*Profile{entry(0, "", "A"), once, matching}
	for name, want := range map[string]string{
		"": "", "a": "",
		"b":        `default of the menu: there is no profile "b"`,
		"once":     `default of the menu: profile "once" says once = true, so it is not in the menu`,
		"matching": `default of the menu: profile "matching" has [match], so it is not in the menu`,
	} {
		got := ""
		if err := (Menu{Default: name}).CheckDefault(profiles); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestPXESeconds(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]uint8{-1: 255, time.Millisecond: 1, 10 * time.Second: 10, 254 * time.Second: 254, time.Hour: 254} {
		if got := (Menu{Timeout: timeout}).PXESeconds(); got != want {
			t.Errorf("%s: got %d, want %d", timeout, got, want)
		}
	}
}

// TestAMenuOf40Entries has more than any firmware's own menu has room for.
func TestAMenuOf40Entries(t *testing.T) {
	t.Parallel()
	var profiles []*Profile
	for i := range 40 {
		profiles = append(profiles, entry(i, fmt.Sprintf("Group %d", i/8), fmt.Sprintf("Entry-%02d", i)))
	}
	ipxe := Machine{Arch: ArchX86BIOS, IPXE: true}
	d := NewCatalog(profiles, testLoaders, Menu{}).Select(ipxe)
	lines := strings.Split(string(IPXEScript(d, ipxe)), "\n")
	for i, p := range profiles {
		item := slices.Index(lines, "item profile-"+p.Name+" "+p.Title)
		gap := slices.Index(lines, "item --gap -- "+p.Group)
		target := slices.Index(lines, ":profile-"+p.Name)
		if gap < 0 || item != gap+1+i%8 || target < item || lines[target+1] != "chain /netbootd/menu/"+p.Name+".ipxe || goto disk" {
			t.Errorf("%s: item in line %d, its group in %d, its target in %d", p.Name, item, gap, target)
		}
	}
}
