package docker

import (
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
)

// logLines is how what docker/cli logs looks: as it does there, except that
// nothing is said where the reader of a command's output has left (`inspect web
// | head -1`). docker dies of the signal then; a command in the shell's own
// process gets an error, which `inspect` logs.
type logLines struct{ logrus.TextFormatter }

// Format implements logrus.Formatter.
func (l *logLines) Format(e *logrus.Entry) ([]byte, error) {
	if strings.HasSuffix(e.Message, ": "+syscall.EPIPE.Error()) {
		return nil, nil
	}
	return l.TextFormatter.Format(e)
}
