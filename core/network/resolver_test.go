package network

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// resolverProgram builds nacre-resolver, once for all tests, unless NACRE_TEST_BIN names a folder with one (tests/program).
var resolverProgram = sync.OnceValues(func() (string, error) {
	if built := os.Getenv("NACRE_TEST_BIN"); built != "" {
		return filepath.Join(built, "nacre-resolver"), nil
	}
	path := filepath.Join(programs, "nacre-resolver")
	out, err := exec.Command("go", "build", "-o", path, "github.com/nacre-sh/nacre/cmd/nacre-resolver").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build nacre-resolver: %w: %s", err, out)
	}
	return path, err
})

// programs is a folder that TestMain removes.
var programs = os.Getenv(programsEnv)

const programsEnv = "NACRE_TEST_PROGRAMS"
