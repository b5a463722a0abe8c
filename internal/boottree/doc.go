// Package boottree turns one name for one machine into one file. TFTP asks it
// for every RRQ; commands ask it which file a name means, and why.
//
// Layers are looked through in this order, exact names in all of them before
// names that differ in case:
//
//	root       the directory of the images that the machine's profile names
//	images     the shared images directory
//	generated  texts written from the profile
//	loaders    boot loaders of the host's packages
//
// The generated script has a reserved name that no file hides.
//
// [Links] knows which machine is behind an address and what it was promised. It
// is written by the DHCP side before a reply leaves, so that a client that asks
// within the same millisecond gets the files of its own profile.
package boottree
