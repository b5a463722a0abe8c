// Package daemon is netbootd at work: it binds the sockets, applies profiles,
// starts and stops them, reloads, drains and shuts down. [Run] is the whole life
// of one process; what starts in which order stands there and nowhere else.
//
// It reads no configuration: a plan of checked values comes in through
// [Options.Load], at the start and at each reload.
package daemon
