// Package apparmor has docker's default AppArmor profile ready in the kernel: a
// container runs under it unless it asks for another. The profile is docker's
// own (github.com/moby/profiles), made for this machine when it is first
// needed, and kept by the kernel until the machine's end; nothing is written to /etc.
//
// The profile's compiler, apparmor_parser, is a program of the distribution's.
// Where it is missing no profile can be made, and docker runs containers without
// one; so does nacre.
package apparmor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/profiles/apparmor"
	"go.podman.io/storage/pkg/reexec"
)

const (
	// Profile is the name of the default profile, docker's: `--security-opt
	// apparmor=docker-default` means the same on both.
	Profile = "docker-default"
	// Unconfined is the profile of whoever has none.
	Unconfined = "unconfined"

	parser     = "apparmor_parser"
	loadedList = "/sys/kernel/security/apparmor/profiles"
	// installer is the name under which this program runs again to load the
	// profile: the library looks for the parser in the PATH of its own process,
	// and a user's often lacks the folders of the system's programs.
	installer  = "nacre-apparmor"
	systemPath = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
)

// Register announces the helper that loads the profile; main calls it before reexec.Init.
func Register() {
	reexec.Register(installer, func() {
		if err := apparmor.InstallDefault(Profile); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// Enabled tells whether the kernel confines programs by AppArmor profiles. In a
// container, which has no profiles of its own to load, it does not.
func Enabled() bool {
	content, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !bytes.HasPrefix(content, []byte("Y")) || os.Getenv("container") != "" {
		return false
	}
	_, err = os.Stat(filepath.Dir(loadedList))
	return err == nil
}

// HasDefault tells whether containers can have the default profile: it is
// loaded, or can be.
func HasDefault() bool {
	if !Enabled() {
		return false
	}
	if hasParser(systemPath) {
		return true
	}
	loaded, err := apparmor.IsLoaded(Profile)
	return err == nil && loaded
}

func hasParser(path string) bool {
	for _, dir := range filepath.SplitList(path) {
		if info, err := os.Stat(filepath.Join(dir, parser)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// Ensure sees to it that a profile is loaded: the default one is made where it
// is missing (an upgrade of the distribution may have unloaded it), another must
// be there, or errdefs.ErrInvalidArgument says so.
func Ensure(profile string) error {
	if profile == "" || profile == Unconfined {
		return nil
	}
	// A profile of a namespace or a stack of several is the kernel's to judge.
	if strings.ContainsAny(profile, ":/&") {
		return nil
	}
	loaded, err := apparmor.IsLoaded(profile)
	switch {
	case err != nil && profile != Profile: // the list is root's; the start will tell
		return nil
	case err != nil:
		return fmt.Errorf("look for AppArmor profile %s: %w", profile, err)
	case loaded:
		return nil
	case profile != Profile:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("AppArmor profile %q is not loaded\nhint: %s -r FILE loads it", profile, parser))
	}
	return load()
}

func load() error {
	cmd := reexec.Command(installer)
	cmd.Env = []string{"PATH=" + systemPath}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if _, ended := errors.AsType[*exec.ExitError](err); ended && len(out) > 0 {
		err = errors.New(strings.TrimSpace(string(out)))
	}
	return fmt.Errorf("AppArmor is enabled, but profile %s could not be loaded: %w\nhint: --security-opt apparmor=%s runs a container without it", Profile, err, Unconfined)
}
