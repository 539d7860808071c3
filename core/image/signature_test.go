package image_test

import (
	"crypto/ecdsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	images "github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/tests/registry"
)

// signer signs images as cosign does, and keeps what an engine must know of it
// beside a configuration file.
type signer struct {
	t        *testing.T
	dir      string // of the configuration file
	registry *registry.Registry
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{t, t.TempDir(), startRegistry(t, registry.Options{})}
	s.write("registries.d/all.yaml", "default-docker:\n  use-sigstore-attachments: true\n")
	return s
}

func (s *signer) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	must(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// key makes a key pair, whose public half is NAME.pub.
func (s *signer) key(name string) *ecdsa.PrivateKey {
	s.t.Helper()
	key, err := registry.SigningKey(filepath.Join(s.dir, name+".pub"))
	must(s.t, err)
	return key
}

// push pushes an image NAME:1 and signs it with the keys.
func (s *signer) push(name string, img registry.Image, keys ...*ecdsa.PrivateKey) {
	s.t.Helper()
	s.sign(name, digest.Digest(push(s.t, s.registry, name, "1", img)), keys...)
}

func (s *signer) sign(name string, d digest.Digest, keys ...*ecdsa.PrivateKey) {
	s.t.Helper()
	if len(keys) > 0 {
		must(s.t, registry.Client{Addr: s.registry.Addr}.Sign(s.t.Context(), name, d, s.registry.Addr+"/"+name+":1", keys...))
	}
}

// policy demands a signature for the images under scope.
func (s *signer) policy(scope, requirement string) {
	s.write("policy.json", fmt.Sprintf(`{"default": [{"type": "reject"}], "transports": {"docker": {"%s/%s": [%s]}}}`, s.registry.Addr, scope, requirement))
}

func (s *signer) engine() *engine {
	return newEngine(s.t, func(o *images.Options) { o.Ways.Config.Path = filepath.Join(s.dir, "daemon.json") })
}

// pull pulls into a fresh engine, which must be empty after a refusal.
func (s *signer) pull(name string) error {
	s.t.Helper()
	e := s.engine()
	_, err := e.pull(s.registry.Addr + "/" + name)
	list, listErr := e.List(s.t.Context(), backend.ImageList{All: true})
	must(s.t, listErr)
	if (err == nil) != (len(list) == 1) {
		s.t.Errorf("%s: %v, and %d images", name, err, len(list))
	}
	return err
}

func TestSigstoreSignatures(t *testing.T) {
	s := newSigner(t)
	ours, theirs := s.key("ours"), s.key("theirs")
	img := small(t, 1, "a")
	s.push("team/plain", img)
	s.push("team/signed", img, ours)
	s.push("team/stranger", img, theirs)
	s.push("team/both", img, theirs, ours)
	s.policy("team", `{"type": "sigstoreSigned", "keyPath": "`+s.dir+`/ours.pub", "signedIdentity": {"type": "matchRepository"}}`)
	for _, name := range []string{"team/signed:1", "team/both:1"} {
		if err := s.pull(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, says := range map[string]string{
		"team/plain:1":    "A signature was required, but no signature exists",
		"team/stranger:1": "invalid signature when validating ASN.1 encoded signature",
	} {
		err := s.pull(name)
		if !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "pull of "+s.registry.Addr+"/"+name+" is not allowed by the image policy: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, says)
		}
	}
	// A signature for one name does not count for another.
	s.policy("team", `{"type": "sigstoreSigned", "keyPath": "`+s.dir+`/ours.pub", "signedIdentity": {"type": "exactRepository", "dockerRepository": "registry.example/team/other"}}`)
	if err := s.pull("team/signed:1"); !errdefs.IsPermissionDenied(err) {
		t.Errorf("signed for another name: %v", err)
	}
	s.policy("elsewhere", `{"type": "insecureAcceptAnything"}`)
	if err := s.pull("team/signed:1"); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "rejected by policy") {
		t.Errorf("rejected by default: %v", err)
	}
	s.write("policy.json", "{\"default\": [\n")
	if err := s.pull("team/signed:1"); err == nil || !strings.Contains(err.Error(), "read the image policy") {
		t.Errorf("a torn policy: %v", err)
	}
}

// Signing an index signs its images with it: their digests are in it.
func TestSignedIndex(t *testing.T) {
	s := newSigner(t)
	ours := s.key("ours")
	var all []registry.Image
	for _, arch := range []string{"amd64", "arm64"} {
		img := small(t, 1, arch)
		img.Config.Architecture = arch
		all = append(all, img)
	}
	for _, name := range []string{"team/plain", "team/signed"} {
		d, err := registry.PushIndex(t.Context(), s.registry.Addr, name, "1", all...)
		must(t, err)
		if name == "team/signed" {
			s.sign(name, d, ours)
		}
	}
	s.policy("team", `{"type": "sigstoreSigned", "keyPath": "`+s.dir+`/ours.pub", "signedIdentity": {"type": "matchRepository"}}`)
	if err := s.pull("team/signed:1"); err != nil {
		t.Error(err)
	}
	if err := s.pull("team/plain:1"); !errdefs.IsPermissionDenied(err) {
		t.Errorf("without signature: %v", err)
	}
}

// The older form: OpenPGP signatures in a folder or on a web server.
func TestOpenPGPSignatures(t *testing.T) {
	s := newSigner(t)
	home := filepath.Join(s.dir, "gnupg")
	must(t, os.MkdirAll(home, 0o700))
	gpg := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %q: %v", args, err)
		}
		return string(out)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	gpg("--quick-gen-key", "team@example.com", "rsa2048", "sign", "never")
	s.write("team.gpg", gpg("--export", "--armor", "team@example.com"))
	s.write("registries.d/all.yaml", "default-docker:\n  lookaside: file://"+s.dir+"/signatures\n")
	push(t, s.registry, "team/plain", "1", small(t, 1, "a"))
	address := "docker://" + s.registry.Addr
	sign := exec.Command("skopeo", "copy", "-q", "--registries.d", s.dir+"/registries.d", "--src-tls-verify=false", "--dest-tls-verify=false",
		"--sign-by", "team@example.com", address+"/team/plain:1", address+"/team/signed:1")
	sign.Env = append(os.Environ(), "GNUPGHOME="+home)
	if out, err := sign.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", sign.Args, err, out)
	}
	s.policy("team", `{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "`+s.dir+`/team.gpg"}`)
	if err := s.pull("team/signed:1"); err != nil {
		t.Error(err)
	}
	if err := s.pull("team/plain:1"); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "no signature exists") {
		t.Errorf("without signature: %v", err)
	}
}

// That a signature cannot be asked for is no refusal, and is said as what it is.
func TestSignaturesOutOfReach(t *testing.T) {
	s := newSigner(t)
	s.push("team/a", small(t, 1, "a"))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s.write("registries.d/all.yaml", "default-docker:\n  lookaside: "+gone.URL+"/signatures\n")
	s.policy("team", `{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "`+s.write("none.gpg", "")+`"}`)
	err := s.pull("team/a:1")
	says(t, err, errdefs.IsUnavailable, "team/a:1: the image policy demands a signature that cannot be asked for: Get \""+gone.URL+"/signatures/team/a@sha256=")
	says(t, err, errdefs.IsUnavailable, "connection refused\nhint: registries.d says where signatures lie")
}
