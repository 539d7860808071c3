package network

import (
	"encoding/binary"
	"hash/crc32"
	"net"
	"testing"
	"time"
)

// sctpPacket is a packet with one chunk of a handshake (RFC 9260, section 3.3.2).
func sctpPacket(source, destination uint16, verification uint32, chunk byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, source)
	b = binary.BigEndian.AppendUint16(b, destination)
	b = binary.BigEndian.AppendUint32(b, verification)
	b = append(b, 0, 0, 0, 0) // the checksum
	b = append(b, chunk, 0, 0, 20)
	for _, word := range []uint32{0x1234, 1 << 16, 1<<16 | 1, 1} { // tag, window, streams, first number
		b = binary.BigEndian.AppendUint32(b, word)
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// Published SCTP, packet by packet over raw sockets, since not every kernel that
// forwards SCTP can speak it. One that can answers the first packet before the
// container does: nobody listens. That answer takes the same way.
func TestPublishedSCTP(t *testing.T) {
	h := newTestHost(t)
	c := h.start(t, "c", bindings(":8080:80/sctp"))
	raw := func(ns int) (conn net.PacketConn) {
		check(t, inNetNS(ns, func() (err error) {
			conn, err = net.ListenPacket("ip4:132", "0.0.0.0")
			return err
		}))
		t.Cleanup(func() { conn.Close() })
		check(t, conn.SetDeadline(time.Now().Add(patience)))
		return conn
	}
	receive := func(conn net.PacketConn) (from net.Addr, source, destination uint16) {
		t.Helper()
		b := make([]byte, 128)
		n, from, err := conn.ReadFrom(b)
		check(t, err)
		if n < 16 { // the header, and that of a chunk
			t.Fatalf("%d bytes from %s", n, from)
		}
		return from, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	inside, outside := raw(c.ns), raw(h.other)
	const initiation, acknowledgement = 1, 2
	_, err := outside.WriteTo(sctpPacket(40000, 8080, 0, initiation), &net.IPAddr{IP: hostAddress.Addr().AsSlice()})
	check(t, err)
	from, source, destination := receive(inside)
	if from.String() != otherAddress.Addr().String() || source != 40000 || destination != 80 {
		t.Errorf("the container receives from %s port %d for port %d", from, source, destination)
	}
	_, err = inside.WriteTo(sctpPacket(80, 40000, 0x1234, acknowledgement), from)
	check(t, err)
	if from, source, destination := receive(outside); from.String() != hostAddress.Addr().String() || source != 8080 || destination != 40000 {
		t.Errorf("the answer comes from %s port %d for port %d", from, source, destination)
	}
}
