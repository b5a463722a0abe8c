// Package source reads what is uploaded, from wherever it lies: a local file or
// directory, standard input, http(s)://, s3://, sftp:// or oci://.
//
//	ref, err := source.Parse("s3://firmware/boards/bbb/")
//	src, err := source.Open(ctx, ref, source.Options{})
//	defer src.Close()
//	for item, err := range src.Items(ctx) {
//		...
//		r, err := item.Open(ctx, 0)
//	}
//
// A reader goes on by itself after a cut connection, where it was, and fails
// with [ErrChanged] rather than mix two versions of a file. [Decompress] unpacks
// what comes out of it.
//
// Nothing is kept in memory or on disk, whatever the size. No error text holds a
// password or the query of an address, which may be a signature.
package source
