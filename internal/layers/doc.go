// Package layers holds nothing but the test that keeps the arrows between the
// packages as docs/architecture.md draws them.
package layers
