package network

import (
	"testing"
	"time"

	"github.com/google/nftables"
)

// On a slow machine the work takes longer than the socket may stay open after it.
func TestSlowWorkKeepsItsSocket(t *testing.T) {
	var n Networks
	err := n.withRules(func(conn *nftables.Conn) error {
		time.Sleep(2 * settling)
		_, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
