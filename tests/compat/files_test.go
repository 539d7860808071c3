package compat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesOfContainers(t *testing.T) {
	each(t, func(c client) {
		id := c.background(c.pulled(), "sleep", "1000")
		dir := c.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "in"), []byte("in and out\n"), 0o640); err != nil {
			c.Fatal(err)
		}
		c.ok("cp", filepath.Join(dir, "in"), id+":/tmp/copied")
		if got := c.ok("exec", id, "cat", "/tmp/copied"); got != "in and out" {
			c.Errorf("in the container: %q", got)
		}
		c.ok("cp", id+":/tmp", filepath.Join(dir, "out"))
		if got, err := os.ReadFile(filepath.Join(dir, "out", "copied")); err != nil || string(got) != "in and out\n" {
			c.Errorf("copied back: %q, %v", got, err)
		}
		c.fails(1, "/nosuch", "cp", id+":/nosuch", dir) // old clients have words of their own
		if got := c.ok("diff", id); got != "C /tmp\nA /tmp/copied" {
			c.Errorf("diff: %q", got)
		}
		c.ok("export", "-o", filepath.Join(dir, "all.tar"), id)
		if content, err := os.ReadFile(filepath.Join(dir, "all.tar")); err != nil || !strings.Contains(string(content), "in and out\n") {
			c.Errorf("the export lacks the file: %v", err)
		}
		image := c.ok("commit", "-m", "with a file", "-c", `CMD ["cat", "/tmp/copied"]`, id)
		c.Cleanup(func() { c.docker("rmi", "-f", image) })
		if got := c.ok("run", "--rm", image); got != "in and out" {
			c.Errorf("the committed image prints %q", got)
		}
		if got := c.ok("inspect", "-f", "{{.State.Status}}", id); got != "running" {
			c.Errorf("after the commit: %s", got)
		}
	})
}
