// Package load makes TFTP clients by the thousand, to measure servers with.
//
// One thread and one socket serve all of them: each client has an address of its
// own in 127.0.0.0/8, and packets come and go in batches. A client behaves as common firmware does: it sends again after a
// second of silence, acknowledges a duplicate once more and the last good block
// when one is missing, and it answers a foreign TID with ERROR 5.
//
// Loss and delay are made in here, because not every kernel has netem. Which
// packets are lost depends on the seed, the client and the packet's number
// alone, so that every server meets the same loss.
//
// Every byte received is compared with the [Pattern] that the served file was
// made from. A [Result] also tells how busy the generator itself was: near 1 it
// was the generator that was measured.
package load
