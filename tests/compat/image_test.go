package compat

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/tests/registry"
)

func TestPullListRemove(t *testing.T) {
	each(t, func(c client) {
		more := setup.image + ":more"
		c.docker("rmi", "-f", setup.image, more)
		pull := c.ok("pull", setup.image)
		for _, line := range []string{
			`(?m)^Using default tag: latest$`, `(?m)^latest: Pulling from library/busybox$`, `(?m)^[0-9a-f]{12}: (Pull complete|Already exists)$`,
			`(?m)^Digest: sha256:[0-9a-f]{64}$`, `(?m)^Status: Downloaded newer image for ` + regexp.QuoteMeta(setup.image) + `:latest$`,
		} {
			if !regexp.MustCompile(line).MatchString(pull) {
				c.Errorf("pull prints no %s:\n%s", line, pull)
			}
		}
		if again := c.ok("pull", setup.image); !strings.Contains(again, "Status: Image is up to date for "+setup.image+":latest") {
			c.Errorf("the second pull: %s", again)
		}
		if other := c.ok("pull", more); !strings.Contains(other, ": Already exists") {
			c.Errorf("a shared layer was pulled again: %s", other)
		}
		if got := c.ok("images", "--format", "{{.Repository}}:{{.Tag}}", setup.image); got != more+"\n"+setup.image+":latest" && got != setup.image+":latest\n"+more {
			c.Errorf("images: %q", got)
		}
		id := c.ok("images", "-q", "--no-trunc", setup.image+":latest")
		if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(id) {
			c.Errorf("id %q", id)
		}
		if got := c.ok("image", "inspect", "-f", "{{.Id}} {{.Os}} {{index .Config.Cmd 0}}", setup.image); got != id+" linux sh" {
			c.Errorf("inspect: %q", got)
		}
		if got := c.ok("history", "-q", setup.image); !strings.HasPrefix(got, strings.TrimPrefix(id, "sha256:")[:12]) {
			c.Errorf("history: %q", got)
		}
		c.ok("tag", setup.image, "mine/copy:1")
		if removed := c.ok("rmi", "mine/copy:1"); removed != "Untagged: mine/copy:1" {
			c.Errorf("rmi of a tag: %q", removed)
		}
		if removed := c.ok("rmi", setup.image, more); !strings.Contains(removed, "Untagged: "+setup.image+":latest") || !strings.Contains(removed, "Deleted: "+id) {
			c.Errorf("rmi: %q", removed)
		}
		c.fails(1, "No such image: "+setup.image, "rmi", setup.image)
	})
}

func TestPush(t *testing.T) {
	each(t, func(c client) {
		name := setup.registry.Addr + "/pushed/" + strings.ToLower(strings.ReplaceAll(c.Name(), "/", "-")) + ":1"
		c.ok("tag", c.pulled(), name)
		push := c.ok("push", name)
		if !regexp.MustCompile(`(?m)^1: digest: sha256:[0-9a-f]{64} size: \d+$`).MatchString(push) {
			c.Errorf("push: %s", push)
		}
		c.ok("rmi", name)
		c.ok("pull", name)
		c.ok("rmi", name)
	})
}

func TestLogin(t *testing.T) {
	private, err := registry.StartWith(t.TempDir(), registry.Options{User: "anna", Password: "geheim"})
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	each(t, func(c client) {
		name := private.Addr + "/private/busybox:1"
		c.ok("tag", c.pulled(), name)
		defer c.docker("rmi", name)
		if r := c.docker("push", name); r.code != 1 {
			c.Errorf("push without login: %+v", r)
		}
		wrong := c.feed(strings.NewReader("falsch"), "login", "-u", "anna", "--password-stdin", private.Addr)
		if wrong.code != 1 || !strings.Contains(wrong.err, "401 Unauthorized") {
			c.Errorf("a wrong password: %+v", wrong)
		}
		right := c.feed(strings.NewReader("geheim"), "login", "-u", "anna", "--password-stdin", private.Addr)
		if right.code != 0 || !strings.Contains(right.out, "Login Succeeded") {
			c.Fatalf("login: %+v", right)
		}
		c.ok("push", name)
		c.ok("rmi", name)
		c.ok("pull", name)
		c.ok("logout", private.Addr)
		c.ok("rmi", name)
		c.fails(1, "", "pull", name)
	})
}

func TestImageErrors(t *testing.T) {
	each(t, func(c client) {
		c.fails(1, "invalid reference format", "pull", "UPPER CASE")
		c.fails(1, "manifest unknown", "pull", setup.image+":nosuchtag")
		c.fails(1, "No such image: nosuchimage", "image", "inspect", "nosuchimage")
		c.fails(1, "connection refused", "pull", "127.0.0.1:1/nobody/here")
		c.fails(1, "does not exist", "push", setup.registry.Addr+"/never/tagged:1")
	})
}
