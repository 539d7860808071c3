//go:build cgo

package runtime

import (
	"slices"
	"strings"

	"github.com/opencontainers/runc/libcontainer/configs"
	libseccomp "github.com/seccomp/libseccomp-golang"
)

// shorten joins neighbouring rules of a filter that do the same without
// conditions into one for a set of calls; see libseccomp.Separator. What they
// do stays the same.
func shorten(filter *configs.Seccomp) {
	if filter == nil {
		return
	}
	// No call has such a name, and it must not become a set.
	rules := slices.DeleteFunc(filter.Syscalls, func(r *configs.Syscall) bool { return strings.Contains(r.Name, libseccomp.Separator) })
	var short []*configs.Syscall
	for i := 0; i < len(rules); {
		names := []string{rules[i].Name}
		end := i + 1
		for ; end < len(rules) && joinable(rules[i], rules[end]); end++ {
			names = append(names, rules[end].Name)
		}
		joined := *rules[i]
		joined.Name = strings.Join(names, libseccomp.Separator)
		short = append(short, &joined)
		i = end
	}
	filter.Syscalls = short
}

func joinable(a, b *configs.Syscall) bool {
	sameCode := a.ErrnoRet == nil && b.ErrnoRet == nil || a.ErrnoRet != nil && b.ErrnoRet != nil && *a.ErrnoRet == *b.ErrnoRet
	return a.Action == b.Action && sameCode && len(a.Args) == 0 && len(b.Args) == 0 &&
		a.Action != configs.Notify // libcontainer looks for one name among those
}
