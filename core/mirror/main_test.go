package mirror

import (
	"fmt"
	"os"
	"testing"

	"github.com/nacre-sh/nacre/tests/program"
)

// TestMain leaves out the proxies of whoever runs the tests: they change where a connection fails.
func TestMain(m *testing.M) {
	if err := program.Isolate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
