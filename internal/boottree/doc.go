// Package boottree turns one name for one machine into one file. TFTP asks it
// for every RRQ; commands ask it which file a name means, and why.
//
// Layers are looked through in this order, exact names in all of them before
// names that differ in case:
//
//	root       the directory of the images that the machine's profile names
//	file       what the profile has written for its machines ([[file]])
//	images     the shared images directory
//	generated  what boot loaders read, written from the profile
//	loaders    boot loaders of the host's packages
//
// A boot loader looks for its text under a series of names; one that stands in a layer
// above turns the generated one off. Names below netbootd/ are reserved: no layer is
// asked for them.
//
// [Links] knows which machine is behind an address and what it was promised. It
// is written by the DHCP side before a reply leaves, so that a client that asks
// within the same millisecond gets the files of its own profile.
package boottree
