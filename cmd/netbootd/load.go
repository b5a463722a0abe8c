package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/internal/config"
	"netbootd/internal/daemon"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
)

// errConfig is a configuration that cannot be read at all.
var errConfig = errors.New("configuration")

// readService reads netbootd.toml: the file that was named, else the one at the
// usual place, else the defaults.
func readService(configFile string) (config.Service, error) {
	s, err := config.ReadService(configFile)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return s, fmt.Errorf("%w: %w", errConfig, err)
	}
	return s, err
}

// readProfiles reads the profiles of a service. A directory that is not there
// holds none.
func readProfiles(s config.Service) ([]bootmenu.Profile, map[string]config.Problems, error) {
	good, broken, err := config.ReadProfiles(os.DirFS(s.Profiles), filepath.Base(s.Profiles))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	return good, broken, err
}

// loadPlan reads everything a running daemon is made from.
func loadPlan(configFile string) (daemon.Settings, daemon.Plan, error) {
	s, err := readService(configFile)
	if err != nil {
		return daemon.Settings{}, daemon.Plan{}, err
	}
	good, broken, err := readProfiles(s)
	if err != nil {
		return daemon.Settings{}, daemon.Plan{}, err
	}
	plan := daemon.Plan{
		Profiles: pointers(good),
		Broken:   make(map[string][]string),
		Dir:      filepath.Base(s.Profiles),
		Sources:  []string{cmp.Or(configFile, config.DefaultPath), s.Profiles},
	}
	for name, problems := range broken {
		for _, p := range problems {
			plan.Broken[name] = append(plan.Broken[name], p.String())
		}
	}
	return settingsOf(s), plan, nil
}

// settingsOf is what the daemon takes from netbootd.toml.
func settingsOf(s config.Service) daemon.Settings {
	return daemon.Settings{
		Interfaces: dhcpproxy.Policy{Names: s.Interfaces},
		DHCP: daemon.DHCPSettings{
			Enabled:     s.DHCP.Enabled,
			Relays:      s.DHCP.Relays,
			IPXEClasses: s.DHCP.IPXEUserClasses,
			Quirks:      s.DHCP.Quirks,
			Limits:      s.DHCP.Limits,
		},
		TFTP: daemon.TFTPSettings{
			Listen:       s.TFTP.Listen,
			Always:       s.TFTP.Always,
			Allow:        s.TFTP.Allow,
			Limits:       s.TFTP.Limits,
			MaxTransfers: s.TFTP.MaxTransfers,
			MaxPerClient: s.TFTP.MaxTransfersPerClient,
			MaxIdle:      s.TFTP.MaxIdle,
			MaxDuration:  s.TFTP.MaxDuration,
			CacheBytes:   s.TFTP.CacheBytes,
			SinglePort:   s.TFTP.SinglePort,
			Ports:        s.TFTP.Ports,
			Drain:        s.TFTP.Drain,
			Write:        writeSettingsOf(s.TFTP.Write),
		},
		Menu:          s.Menu,
		Images:        s.Images,
		State:         s.State,
		LoaderDirs:    loaderDirs(s),
		MetricsListen: s.Metrics.Listen,
		Control:       daemon.ControlSettings(s.Control),
	}
}

// writeSettingsOf is what the daemon takes from [tftp.write], if it is there.
func writeSettingsOf(w *config.Write) *daemon.WriteSettings {
	if w == nil {
		return nil
	}
	return &daemon.WriteSettings{
		Inbox: images.InboxOptions{Dir: w.Dir, Overwrite: w.Overwrite, Quota: w.Quota},
		Allow: w.Allow,
	}
}

// loaderDirs are the directories to search for boot loaders.
func loaderDirs(s config.Service) []string {
	if len(s.Loaders) > 0 {
		return s.Loaders
	}
	return loaders.DefaultDirs()
}
