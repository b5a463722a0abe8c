//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"netbootd/internal/e2e/lab"
)

// logTime begins netbootd's log lines. What is shown here is shown as it happens.
var logTime = regexp.MustCompile(`^time=\S+ `)

// What is waited for.
var (
	netbootdReady    = regexp.MustCompile(`\bready\b`)
	linuxVersion     = regexp.MustCompile(`Linux version (\S+) `)
	kernelWithInitrd = regexp.MustCompile(`Run /init as init process`)
	// siteNews is what is worth showing of the site's DHCP server.
	siteNews = regexp.MustCompile(`\b(DHCP(?:DISCOVER|OFFER|REQUEST|ACK)\(.*)`)
)

// A stage is the network with everything that plays on it.
type stage struct {
	net *lab.Network
	out *printer
	dir string // netbootd's configuration, profiles and images

	bin     string // the netbootd that is shown
	profile string // the file of the profile that it boots the PC by
	daemon  *lab.Process
}

// show plays the whole demo. It takes nothing down but what should be seen to
// end: the rest goes with the lab.
func (s *stage) show(ctx context.Context, firmware lab.Firmware) error {
	if err := s.build(ctx); err != nil {
		return err
	}
	if err := s.startServers(ctx); err != nil {
		return err
	}
	s.out.say("demo", "powering on a PC without a disk: "+firmware.String())
	start := time.Now()
	version, err := s.boot(ctx, firmware)
	if err != nil {
		return err
	}
	took := time.Since(start)
	sent, err := s.bytesSent(ctx)
	if err != nil {
		return fmt.Errorf("ask netbootd what it sent: %w", err)
	}
	s.daemon.Stop()
	s.out.say("demo", fmt.Sprintf("the PC booted Linux %s through netbootd in %.0f s: DHCP site server %v, netbootd %v, %d MB by TFTP",
		version, took.Seconds(), lab.SiteAddr, lab.BootAddr, sent/1_000_000))
	return nil
}

// build makes netbootd's files and the network.
func (s *stage) build(ctx context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "demo-"); err != nil {
		return err
	}
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return err
	}
	if err := s.writeFiles(); err != nil {
		return err
	}
	s.out.say("demo", fmt.Sprintf("making a virtual network: the site's DHCP server %v, netbootd %v", lab.SiteAddr, lab.BootAddr))
	s.net, err = lab.NewNetwork(ctx, "demo")
	return err
}

// writeFiles gives netbootd the example profile, and the kernel and initrd that
// it names.
func (s *stage) writeFiles() error {
	profile, err := os.ReadFile(s.profile)
	if err != nil {
		return err
	}
	profiles := filepath.Join(s.dir, "profiles.d")
	if err := os.Mkdir(profiles, 0o755); err != nil {
		return err
	}
	config := "interfaces = [\"eth0\"]\nprofiles = \"profiles.d\"\nimages = \"images\"\nstate = \"state\"\n" +
		"[control]\nsocket = \"control.sock\"\n[metrics]\nlisten = \"127.0.0.1:9469\"\n"
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, "netbootd.toml"), []byte(config), 0o644),
		os.WriteFile(filepath.Join(profiles, filepath.Base(s.profile)), profile, 0o644),
		lab.CopyInstaller(filepath.Join(s.dir, "images/debian12"), lab.DebianInstaller),
	)
}

// startServers starts the site's DHCP server and netbootd, and returns when
// both are ready.
func (s *stage) startServers(ctx context.Context) error {
	_, err := s.net.StartSite(ctx, lab.Dnsmasq, func(line string) {
		if m := siteNews.FindStringSubmatch(line); m != nil {
			s.out.say("site", m[1])
		}
	})
	if err != nil {
		return err
	}
	cmd := s.net.Command(context.Background(), lab.BootPlace, s.bin, "run", "--config", filepath.Join(s.dir, "netbootd.toml"))
	say := func(line string) { s.out.say("netbootd", logTime.ReplaceAllString(line, "")) }
	s.daemon, err = s.net.StartCommand(cmd, lab.Options{Name: "netbootd", OnStdout: say, OnStderr: say})
	if err != nil {
		return err
	}
	return s.daemon.Guard(ctx, func(ctx context.Context) error {
		_, err := s.daemon.Stderr.WaitFor(ctx, netbootdReady)
		return plainly(err, "netbootd did not become ready", "what netbootd said above")
	})
}

// boot powers the PC on and returns the version of the Linux that it runs, when
// that has found its initrd.
func (s *stage) boot(ctx context.Context, firmware lab.Firmware) (version string, err error) {
	pc, err := s.net.PowerOn(lab.PC{Firmware: firmware, OnLine: func(line string) { s.out.say("pc", line) }})
	if err != nil {
		return "", err
	}
	err = s.daemon.Guard(ctx, func(ctx context.Context) error {
		m, err := pc.Console.WaitFor(ctx, linuxVersion)
		if err != nil {
			return plainly(err, "the PC did not start Linux", "the last lines of pc above, and of netbootd on what it answered; "+pc.Process.Stderr.Tail(5))
		}
		version = m[1]
		_, err = pc.Console.WaitFor(ctx, kernelWithInitrd)
		return plainly(err, "Linux did not find its initrd", "the last lines of pc above")
	})
	if err == nil {
		pc.PowerOff()
	}
	return version, err
}

// plainly replaces a transcript's error, whose lines have been shown already.
func plainly(err error, what, lookAt string) error {
	missing := &lab.MissingError{}
	if !errors.As(err, &missing) {
		return err
	}
	why := missing.Err
	if errors.Is(why, context.DeadlineExceeded) {
		why = fmt.Errorf("not within %v", bound)
	}
	return fmt.Errorf("%s: %w\nhint: look at %s", what, why, lookAt)
}

// bytesSent asks netbootd's metrics how many bytes clients have acknowledged.
func (s *stage) bytesSent(ctx context.Context) (int64, error) {
	page, err := s.net.Get(ctx, lab.BootPlace, "http://127.0.0.1:9469/metrics")
	if err != nil {
		return 0, err
	}
	var sum float64
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "netbootd_tftp_bytes_total{") || !strings.Contains(name, `direction="read"`) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return int64(sum), nil
}
