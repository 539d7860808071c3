package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/mirror"
	"github.com/nacre-sh/nacre/tests/registry"
)

// judging is an engine whose images of registry.invalid come from a mirror,
// with the files of a policy beside its configuration.
func judging(t *testing.T, addr string, files map[string]string) *client.Client {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := open(t, Options{Config: config.File{Path: filepath.Join(dir, "daemon.json")}})
	mirrors := &mirror.Mirrors{File: mirror.File{Path: e.store.Paths.Mirrors()}}
	if err := mirrors.MirrorAdd(t.Context(), backend.Mirror{Registry: "registry.invalid", URL: "http://" + addr, Name: "near", Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return memoryClient(t, e)
}

func pullOf(t *testing.T, c *client.Client, name string) error {
	t.Helper()
	answer, err := c.ImagePull(t.Context(), name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	for _, err := range answer.JSONMessages(t.Context()) {
		if err != nil {
			return err
		}
	}
	return nil
}

// What a policy demands counts for content of mirrors, too, with the
// signatures that lie beside the image there.
func TestSignaturesThroughAMirror(t *testing.T) {
	r, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	keyFile := filepath.Join(t.TempDir(), "team.pub")
	key, err := registry.SigningKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := registry.Pack(registry.Text("hello", "world"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"team/signed", "team/plain"} {
		d, err := registry.Push(t.Context(), r.Addr, name, "1", registry.New("amd64", layer))
		if err != nil {
			t.Fatal(err)
		}
		if name == "team/plain" {
			continue
		}
		if err := (registry.Client{Addr: r.Addr}).Sign(t.Context(), name, d, "registry.invalid/"+name+":1", key); err != nil {
			t.Fatal(err)
		}
	}
	c := judging(t, r.Addr, map[string]string{
		"policy.json": fmt.Sprintf(`{"default": [{"type": "reject"}], "transports": {"docker": {"registry.invalid/team": [
			{"type": "sigstoreSigned", "keyPath": %q, "signedIdentity": {"type": "matchRepository"}}]}}}`, keyFile),
		"registries.d/team.yaml": "docker:\n  registry.invalid/team:\n    use-sigstore-attachments: true\n",
	})
	if err := pullOf(t, c, "registry.invalid/team/signed:1"); err != nil {
		t.Error(err)
	}
	// The mirror has none, and whether the registry has one cannot be known.
	if err := pullOf(t, c, "registry.invalid/team/plain:1"); err == nil || !strings.Contains(err.Error(), "no source answered: near: refused with status 404") {
		t.Errorf("without signature: %v", err)
	}
	if list, err := c.ImageList(t.Context(), client.ImageListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("images: %+v (%v), want the signed one", list.Items, err)
	}
}

// So do signatures that lie elsewhere, as skopeo writes them.
func TestLookasideThroughAMirror(t *testing.T) {
	r, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	dir := t.TempDir()
	home := filepath.Join(dir, "gnupg")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v", name, args, err)
		}
		return string(out)
	}
	run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "team@example.com", "rsa2048", "sign", "never")
	keyFile := filepath.Join(dir, "team.gpg")
	if err := os.WriteFile(keyFile, []byte(run("gpg", "--export", "--armor", "team@example.com")), 0o600); err != nil {
		t.Fatal(err)
	}
	layer, err := registry.Pack(registry.Text("hello", "world"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"team/signed", "team/plain"} {
		d, err := registry.Push(t.Context(), r.Addr, name, "1", registry.New("amd64", layer))
		if err != nil {
			t.Fatal(err)
		}
		if name == "team/plain" {
			continue
		}
		manifest := filepath.Join(dir, "manifest.json")
		if err := os.WriteFile(manifest, []byte(run("skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+r.Addr+"/"+name+":1")), 0o600); err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(dir, "signatures", name+"@"+strings.Replace(d.String(), ":", "=", 1))
		if err := os.MkdirAll(place, 0o755); err != nil {
			t.Fatal(err)
		}
		run("skopeo", "standalone-sign", manifest, "registry.invalid/"+name+":1", "team@example.com", "-o", filepath.Join(place, "signature-1"))
	}
	c := judging(t, r.Addr, map[string]string{
		"policy.json":            fmt.Sprintf(`{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": %q}]}`, keyFile),
		"registries.d/team.yaml": "default-docker:\n  lookaside: file://" + dir + "/signatures\n",
	})
	if err := pullOf(t, c, "registry.invalid/team/signed:1"); err != nil {
		t.Error(err)
	}
	if err := pullOf(t, c, "registry.invalid/team/plain:1"); err == nil || !strings.Contains(err.Error(), "no signature exists") {
		t.Errorf("without signature: %v", err)
	}
}
