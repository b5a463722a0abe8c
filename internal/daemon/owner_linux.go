package daemon

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
)

// udpOwners names the processes that have a UDP socket on a port, as
// "dnsmasq (pid 812)". complete is false if there are sockets whose owner this
// user may not see.
func udpOwners(port uint16) (owners []string, complete bool) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, false
	}
	inodes := make(map[string]bool) // true once the owner is found
	v4, _ := proc.NetUDP()          // a table that cannot be read has no sockets to name
	v6, _ := proc.NetUDP6()
	for _, line := range append(v4, v6...) {
		if line.LocalPort == uint64(port) {
			inodes["socket:["+strconv.FormatUint(line.Inode, 10)+"]"] = false
		}
	}
	processes, err := proc.AllProcs()
	if err != nil || len(inodes) == 0 {
		return nil, err == nil
	}
	for _, p := range processes {
		targets, err := p.FileDescriptorTargets()
		if err != nil {
			continue // gone meanwhile, or not ours to see
		}
		if held := slices.IndexFunc(targets, func(t string) bool { _, ok := inodes[t]; return ok }); held >= 0 {
			name, _ := p.Comm()
			owners = append(owners, fmt.Sprintf("%s (pid %d)", name, p.PID))
			inodes[targets[held]] = true
		}
	}
	for _, found := range inodes {
		complete = complete || found
	}
	return owners, complete
}
