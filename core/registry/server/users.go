package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// userName is what the file of users can hold: no colon, nothing unseen.
var userName = regexp.MustCompile(`^[^:\s[:cntrl:]]{1,64}$`)

// ownUser lets one user in where no file names any: with a password that is
// made and told the first time, and kept as a hash in the registry's folder.
// The note is for whoever started the registry.
func (o *Options) ownUser() (note string, err error) {
	if o.User == "" {
		return "", nil
	}
	if o.Htpasswd != "" {
		return "", invalid("--user and --htpasswd: the file names all users")
	}
	if !userName.MatchString(o.User) {
		return "", invalid("%q is no name for a user: no colon and no space", o.User)
	}
	o.Htpasswd = filepath.Join(o.Data, "htpasswd")
	lines, err := os.ReadFile(o.Htpasswd)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the users: %w", err)
	}
	if strings.Contains("\n"+string(lines), "\n"+o.User+":") {
		return fmt.Sprintf("user %s has the password of before (for a new one, remove %s)", o.User, o.Htpasswd), nil
	}
	password := rand.Text()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("make a password: %w", err)
	}
	if err := writeFile(o.Htpasswd, append(lines, o.User+":"+string(hash)+"\n"...), 0o600); err != nil {
		return "", err
	}
	return fmt.Sprintf("user %s, password %s (it is not shown again)", o.User, password), nil
}
