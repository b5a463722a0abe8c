package images

import "time"

// Options bound what a [Store] keeps besides the files themselves.
type Options struct {
	// KeepVersions is how many replaced files are kept for each name. 0 means 3;
	// a negative number keeps none.
	KeepVersions int
	// VersionsBytes is what all versions may take together; the oldest go first,
	// and a file that is larger is not kept. 0 means 16 GiB.
	VersionsBytes int64
	// UploadAge is how long an upload lives without an append. 0 means a day.
	UploadAge time.Duration
	// MaxUploads is how many uploads may be open. 0 means 64.
	MaxUploads int
}

// withDefaults fills in what was left zero.
func (o Options) withDefaults() Options {
	if o.KeepVersions == 0 {
		o.KeepVersions = 3
	}
	if o.VersionsBytes == 0 {
		o.VersionsBytes = 16 << 30
	}
	if o.UploadAge == 0 {
		o.UploadAge = 24 * time.Hour
	}
	if o.MaxUploads == 0 {
		o.MaxUploads = 64
	}
	return o
}
