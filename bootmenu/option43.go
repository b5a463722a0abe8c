package bootmenu

// Tags of PXE's vendor options, which DHCP option 43 encapsulates (PXE 2.1
// section 2, table 2-1).
const (
	tagDiscoveryControl = 6
	tagMenuPrompt       = 10
	tagBootItem         = 71
	tagEnd              = 255
)

// skipDiscovery is bit 3 of the discovery control: take the boot file that this
// packet names, without prompt, menu or boot server discovery.
const skipDiscovery = 1 << 3

// SkipDiscovery is the content of option 43 that tells BIOS ROMs and iPXE to
// take the boot file of this OFFER as it is. The prompt of zero seconds is there
// for ROMs that go by the prompt before they go by the control bits. The end tag
// is needed: some ROMs read on into whatever follows.
func SkipDiscovery() []byte {
	return []byte{tagDiscoveryControl, 1, skipDiscovery, tagMenuPrompt, 4, 0, 'P', 'X', 'E', tagEnd}
}

// HasBootItem tells whether a request's option 43 asks a boot server for an item
// (tag 71). Padding and a missing end are accepted; a truncated tag ends the
// search.
func HasBootItem(option43 []byte) bool {
	for len(option43) > 0 && option43[0] != tagEnd {
		if option43[0] == 0 {
			option43 = option43[1:]
			continue
		}
		if len(option43) < 2 || len(option43) < 2+int(option43[1]) {
			return false
		}
		if option43[0] == tagBootItem && option43[1] == 4 {
			return true
		}
		option43 = option43[2+int(option43[1]):]
	}
	return false
}
