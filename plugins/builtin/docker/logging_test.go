package docker

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"
)

func TestLogLines(t *testing.T) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetFormatter(&logLines{})
	log.Error(&os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE})
	if out.Len() > 0 {
		t.Errorf("a reader that has left: %q", &out)
	}
	if log.Error(errors.New("something else")); !strings.Contains(out.String(), "level=error msg=\"something else\"") {
		t.Errorf("something else: %q", &out)
	}
}
