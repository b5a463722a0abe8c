package bootmenu

// Style is the form of a ProxyDHCP reply: firmware differs in which one it
// follows. It is a metric label.
type Style string

// The styles.
const (
	StyleBare   Style = "bare"   // no option 43: the client comes to port 4011 (UEFI)
	StyleSkip   Style = "skip"   // option 43 says: take this file, ask no more (BIOS, iPXE)
	StyleHeader Style = "header" // siaddr and file only, no vendor class (opted-in classes, such as U-Boot)
	StyleMenu   Style = "menu"   // option 43 holds a menu that the firmware draws; the client asks for an item of it
	StyleRPi    Style = "rpi"    // option 43 holds the words that a Raspberry Pi waits for
)

// A Quirk is firmware that wants another style than its kind.
type Quirk struct {
	Match Match // which machines have it
	Offer Style
}
