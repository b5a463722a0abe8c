// Package bootmenu holds what a machine may boot, as values: architectures,
// machines, profiles, which profile a machine gets ([Catalog.Select]), and the
// bytes and texts that follow from it (PXE option 43, iPXE scripts).
//
// It does no I/O: no sockets, no files, no clock, no log. The same input always
// gives the same answer, so everything here is tested with tables.
package bootmenu
