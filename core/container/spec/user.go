package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// user looks the user up in the container's own files, never in the host's.
func (b *builder) user() error {
	u, err := ResolveUser(b.in.Open, b.in.Config.User, b.in.HostConfig.GroupAdd)
	if err != nil {
		return err
	}
	u.Umask = b.in.HostConfig.Umask
	b.spec.Process.User = u
	return b.home(int(u.UID))
}

// home sets HOME where nobody has. The runtime would do it, too, but opens
// whatever lies at /etc/passwd: a pipe would let it wait for ever. It is left
// to it where a mount may have the file.
func (b *builder) home(uid int) error {
	if slices.ContainsFunc(b.spec.Process.Env, func(entry string) bool { return strings.HasPrefix(entry, "HOME=") && entry != "HOME=" }) {
		return nil
	}
	if slices.ContainsFunc(b.in.Mounts, func(m Mount) bool { return m.Destination == "/etc" || m.Destination == passwdFile }) {
		return nil
	}
	passwd, err := openOptional(b.in.Open, passwdFile)
	if err != nil {
		return err
	}
	defer passwd.Close()
	home := "/"
	users, err := user.ParsePasswdFilter(passwd, func(u user.User) bool { return u.Uid == uid })
	if err == nil && len(users) > 0 { // as the runtime does: the first, and what cannot be read names nobody
		home = users[0].Home
	}
	b.spec.Process.Env = append(b.spec.Process.Env, "HOME="+home)
	return nil
}

const passwdFile = "/etc/passwd"

// ResolveUser reads "user[:group]" and further groups against the /etc/passwd
// and /etc/group of a container root. Numbers need no entry. The errors are
// docker's, class errdefs.ErrInvalidArgument.
func ResolveUser(open Opener, spec string, groupAdd []string) (specs.User, error) {
	passwd, err := openOptional(open, passwdFile)
	if err != nil {
		return specs.User{}, err
	}
	defer passwd.Close()
	group, err := openOptional(open, "/etc/group")
	if err != nil {
		return specs.User{}, err
	}
	defer group.Close()

	found, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, passwd, group)
	if err != nil {
		return specs.User{}, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	groups := found.Sgids
	if len(groupAdd) > 0 {
		again, err := openOptional(open, "/etc/group")
		if err != nil {
			return specs.User{}, err
		}
		defer again.Close()
		extra, err := user.GetAdditionalGroups(groupAdd, again)
		if err != nil {
			return specs.User{}, errdefs.ErrInvalidArgument.WithMessage(strings.TrimPrefix(err.Error(), "user: "))
		}
		groups = slices.Concat(groups, extra)
	}
	u := specs.User{UID: uint32(found.Uid), GID: uint32(found.Gid)}
	// The primary group is among the additional ones, so that a program that
	// drops its group (CVE-2022-36109) does not gain what the group is denied.
	for _, gid := range slices.Concat([]int{found.Gid}, groups) {
		if !slices.Contains(u.AdditionalGids, uint32(gid)) {
			u.AdditionalGids = append(u.AdditionalGids, uint32(gid))
		}
	}
	return u, nil
}

func openOptional(open Opener, path string) (io.ReadCloser, error) {
	f, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the container's %s: %w", path, err)
	}
	return f, nil
}
