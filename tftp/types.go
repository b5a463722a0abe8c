package tftp

import "fmt"

// Blksize is the TFTP block size in bytes: the data in one DATA packet, without
// its 4-byte header. Legal values are 8 to 65464 (RFC 2348).
type Blksize uint16

// The block sizes that the RFCs name.
const (
	MinBlksize     Blksize = 8     // RFC 2348
	DefaultBlksize Blksize = 512   // without the option, RFC 1350 section 2
	MaxBlksize     Blksize = 65464 // RFC 2348
)

// Windowsize is the number of DATA packets that are sent before an ACK is
// awaited. Legal values are 1 to 65535 (RFC 7440 section 3); 1 is lockstep, what
// a client gets that does not ask.
type Windowsize uint16

// The window sizes that RFC 7440 names.
const (
	DefaultWindowsize Windowsize = 1
	MaxWindowsize     Windowsize = 65535
)

// BlockNumber is a block number as it stands in a packet: the number of the
// block in its file, counted from 1, modulo 65536. After 65535 comes 0: that is
// what iPXE, U-Boot, GRUB and EDK2 expect, while RFC 1350 says nothing.
type BlockNumber uint16

// blockNumber is the wire form of an absolute block number.
func blockNumber(absolute int64) BlockNumber { return BlockNumber(absolute & 0xffff) }

// after is the smallest absolute number that is not below base and has the wire
// form b.
func (b BlockNumber) after(base int64) int64 {
	return base + int64(b-blockNumber(base))
}

// ErrorCode is the code of an ERROR packet (RFC 1350 appendix, RFC 2347).
type ErrorCode uint16

// The error codes. This server never sends 0, for U-Boot starts over for ever on
// it, and 1 and 2 are the only ones at which U-Boot stops.
const (
	ErrUndefined       ErrorCode = 0
	ErrFileNotFound    ErrorCode = 1
	ErrAccessViolation ErrorCode = 2
	ErrDiskFull        ErrorCode = 3 // or allocation exceeded
	ErrIllegal         ErrorCode = 4
	ErrUnknownTID      ErrorCode = 5
	ErrFileExists      ErrorCode = 6
	ErrNoSuchUser      ErrorCode = 7
	ErrOptionRefused   ErrorCode = 8 // RFC 2347
)

// errorNames are the meanings that the RFCs give to the codes, by code.
var errorNames = [...]string{
	"undefined error", "file not found", "access violation", "disk full", "illegal operation",
	"unknown transfer ID", "file already exists", "no such user", "option refused",
}

// String is the meaning of the code in words.
func (c ErrorCode) String() string {
	if int(c) < len(errorNames) {
		return errorNames[c]
	}
	return fmt.Sprintf("error code %d", uint16(c))
}

// A RemoteError is an ERROR packet that the other end sent.
type RemoteError struct {
	Code ErrorCode
	Text string // as received: any bytes but NUL, never to be printed unquoted
}

// Error quotes the text, for it comes from the network.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("the other end sent ERROR %d %q", uint16(e.Code), e.Text)
}

// A wireError is an ERROR packet that this server sends: a code and a short
// ASCII text that firmware can print. It never names a path of the host. The
// zero value means that none is sent.
type wireError struct {
	code ErrorCode
	text string
}

// The ERRORs this server sends, all of them.
var (
	wireNotFound   = wireError{ErrFileNotFound, "file not found"}
	wireAccess     = wireError{ErrAccessViolation, "access violation"}
	wireNameLength = wireError{ErrAccessViolation, "file name too long"}
	wireReadOnly   = wireError{ErrAccessViolation, "read-only"}
	wireShutdown   = wireError{ErrAccessViolation, "server is shutting down"}
	wireChanged    = wireError{ErrAccessViolation, "file changed"}
	wireTimedOut   = wireError{ErrAccessViolation, "timed out"}
	wireOverdue    = wireError{ErrAccessViolation, "transfer took too long"}
	wireExists     = wireError{ErrFileExists, "file already exists"}
	wireFull       = wireError{ErrDiskFull, "disk full"}
	// "Allocation exceeded" is the only code that tells of a passing want, and
	// U-Boot tries again on it, which is what the text says too.
	wireBusy       = wireError{ErrDiskFull, "server is busy, try again"}
	wireMalformed  = wireError{ErrIllegal, "malformed request"}
	wireMode       = wireError{ErrIllegal, "unknown transfer mode"}
	wireUnknownTID = wireError{ErrUnknownTID, "unknown transfer ID"}
)
