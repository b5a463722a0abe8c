package daemon

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"netbootd/bootmenu"
)

const (
	// styleAge is how long it is remembered which style a machine followed.
	styleAge = 30 * 24 * time.Hour
	// styleRefresh is how old a memory may become before its time is written anew.
	styleRefresh = 24 * time.Hour
	// maxStyles bounds the machines that are remembered.
	maxStyles = 65536
	// stylesFormat is the version of the file's layout.
	stylesFormat = 1
)

// stylesFile remembers which style machines followed that do not follow the one of
// their kind: dhcpproxy.Styles, in one small file that is replaced by rename.
type stylesFile struct {
	path   string
	now    func() time.Time
	failed func(error) // told when the file could not be written

	writing  sync.Mutex // one writer of the file at a time
	mu       sync.Mutex // guards what follows
	rev      int64
	machines map[firmware]followed
}

// firmware is what a style is remembered of: a machine may have a BIOS and UEFI.
type firmware struct {
	mac  bootmenu.MAC
	arch bootmenu.Arch
}

// followed is the style of one firmware, and when it last worked.
type followed struct {
	style bootmenu.Style
	at    time.Time
}

type stylesJSON struct {
	Format   int         `json:"format"`
	Rev      int64       `json:"rev"`
	Machines []styleJSON `json:"machines"`
}

type styleJSON struct {
	MAC   bootmenu.MAC   `json:"mac"`
	Arch  bootmenu.Arch  `json:"arch"`
	Style bootmenu.Style `json:"style"`
	At    time.Time      `json:"at"`
}

// openStyles reads what was remembered.
func openStyles(stateDir string, now func() time.Time, failed func(error)) (*stylesFile, error) {
	s := &stylesFile{path: filepath.Join(stateDir, "styles.json"), now: now, failed: failed, machines: make(map[firmware]followed)}
	var j stylesJSON
	if err := readState(s.path, stylesFormat, &j); err != nil {
		return nil, err
	}
	s.rev = j.Rev
	for _, m := range j.Machines {
		s.machines[firmware{m.MAC, m.Arch}] = followed{m.Style, m.At}
	}
	return s, nil
}

// Style implements dhcpproxy.Styles.
func (s *stylesFile) Style(mac bootmenu.MAC, arch bootmenu.Arch) bootmenu.Style {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.machines[firmware{mac, arch}]; ok && s.now().Sub(f.at) <= styleAge {
		return f.style
	}
	return ""
}

// Followed implements dhcpproxy.Styles. It returns when the memory is on disk.
func (s *stylesFile) Followed(mac bootmenu.MAC, arch bootmenu.Arch, style bootmenu.Style) {
	s.writing.Lock()
	defer s.writing.Unlock()
	j, changed := s.note(firmware{mac, arch}, style)
	if !changed {
		return
	}
	if err := writeState(s.path, j); err != nil {
		s.failed(err)
	}
}

// note changes the memory, and gives what is to be written, unless it is no news.
func (s *stylesFile) note(key firmware, style bootmenu.Style) (j stylesJSON, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if f := s.machines[key]; f.style == style && now.Sub(f.at) < styleRefresh {
		return j, false
	}
	maps.DeleteFunc(s.machines, func(_ firmware, f followed) bool { return now.Sub(f.at) > styleAge })
	if len(s.machines) >= maxStyles {
		clear(s.machines) // a flood of invented addresses
	}
	s.machines[key] = followed{style, now.UTC().Truncate(time.Second)}
	s.rev++
	j = stylesJSON{Format: stylesFormat, Rev: s.rev}
	for f, v := range s.machines {
		j.Machines = append(j.Machines, styleJSON{f.mac, f.arch, v.style, v.at})
	}
	slices.SortFunc(j.Machines, func(a, b styleJSON) int {
		return cmp.Or(cmp.Compare(a.MAC.String(), b.MAC.String()), cmp.Compare(a.Arch, b.Arch))
	})
	return j, true
}
