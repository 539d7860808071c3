//go:build cgo

package shim

import "bytes"

// detachScanner looks for the detach keys in what a client types. Bytes that
// might begin the sequence are held back until it is clear.
type detachScanner struct {
	keys    []byte
	matched int
}

// scan returns what is to reach the container of what was typed, and whether
// the whole sequence came.
func (d *detachScanner) scan(typed []byte) (through []byte, detach bool) {
	if len(d.keys) == 0 {
		return typed, false
	}
	var out bytes.Buffer
	for _, b := range typed {
		if b == d.keys[d.matched] {
			if d.matched++; d.matched == len(d.keys) {
				return out.Bytes(), true
			}
			continue
		}
		out.Write(d.keys[:d.matched])
		d.matched = 0
		if b == d.keys[0] {
			d.matched = 1
			continue
		}
		out.WriteByte(b)
	}
	return out.Bytes(), false
}
