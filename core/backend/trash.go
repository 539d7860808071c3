package backend

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/moby/moby/api/types/image"
)

// Kinds of things that can be removed and brought back.
const (
	TrashContainer = "container"
	TrashImage     = "image"
	TrashName      = "name" // of an image that itself is still there
	TrashVolume    = "volume"
)

// TrashItem is one removed thing that waits in the trash.
type TrashItem struct {
	Kind      string
	ID        string   // of a container or image; the name of a volume
	Names     []string // that it had, in the form in which docker shows them
	Operation string   // the command that removed it
	RemovedAt time.Time
	Bytes     int64 // that its end gives back; -1: not measured yet
}

// Restored says what became of one item of an undo.
type Restored struct {
	Item TrashItem
	Back bool
	Note string // what did not come back, and why; empty: all of it is as it was
}

// Trash is what waits, and how long and how much may wait.
type Trash struct {
	Items  []TrashItem
	Bytes  int64         // of all items together, shared layers once; unmeasured ones not at all
	Keep   time.Duration // 0: nothing waits
	Limit  int64         // bytes that may wait now
	Size   string        // the setting that Limit comes from: bytes or a share of the free space, as 10%
	Expire time.Time     // when the first item goes; zero: nothing waits
}

// RemovalPlan is what a removal would do, in the words that the removal itself answers with.
type RemovalPlan struct {
	Lines  []string // what goes, one thing a line
	Errors []string // what would be refused
	Failed bool     // the command would fail with them; forced ones take what is not there lightly
	Bytes  uint64   // that would be free, shared layers counted once
}

// Removal describes a removing command for a plan; see POST /nacre/removals/plan.
type Removal struct {
	Command string // container rm, container prune, image rm, image prune, volume rm, volume prune, network prune, system prune
	Names   []string
	Force   bool
	Volumes bool // rm -v, system prune --volumes
	NoPrune bool
	All     bool
	Filters map[string][]string
}

// ImageRemoved is what became of one name of a removal of many.
type ImageRemoved struct {
	Items []image.DeleteResponse
	Err   error
}

type (
	operationKey struct{}
	noTrashKey   struct{}
)

// WithoutTrash marks a request whose removals are not to wait.
func WithoutTrash(ctx context.Context) context.Context {
	return context.WithValue(ctx, noTrashKey{}, true)
}

// SkipsTrash says whether a request's removals are not to wait.
func SkipsTrash(ctx context.Context) bool {
	skip, _ := ctx.Value(noTrashKey{}).(bool)
	return skip
}

// WithOperation marks a request as part of one command of a user: what it
// removes comes back together.
func WithOperation(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, operationKey{}, id)
}

// Operation is the command that a request belongs to; a new one where nobody said.
func Operation(ctx context.Context) string {
	if id, _ := ctx.Value(operationKey{}).(string); id != "" {
		return id
	}
	return NewOperation()
}

// NewOperation names one command.
func NewOperation() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
