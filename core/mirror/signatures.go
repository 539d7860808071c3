package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
	"go.yaml.in/yaml/v3"
)

// Where the image library looks for signatures follows the host that it asks,
// which is the gateway. So the gateway gets a containers-registries.d(5) of its
// own that says of it what the user's says of the registry: signatures beside
// the image go the way of all content; those elsewhere ("lookaside") are asked
// for through the gateway, because the library adds the repository's path to
// their address, and that has the gateway's secret in it.

// maxSignature bounds one signature in bytes.
const maxSignature = 4 << 20

// namespace is what a registries.d file says of one scope, as far as it matters here.
type namespace struct {
	Attachments *bool `yaml:"use-sigstore-attachments"`
}

// signatureScopes writes the gateway's registries.d into dir and points sys at it.
func (g *gateway) signatureScopes(dir string, ref reference.Named, sys *types.SystemContext) error {
	target, err := docker.NewReference(reference.TagNameOnly(ref))
	if err != nil {
		return err
	}
	attachments, err := usesAttachments(sys, target)
	if err != nil {
		return fmt.Errorf("read where signatures are: %w", err)
	}
	if g.lookaside, err = docker.SignatureStorageBaseURL(sys, target, false); err != nil {
		return fmt.Errorf("read where signatures are: %w", err)
	}
	text := fmt.Sprintf("docker:\n  %q:\n    use-sigstore-attachments: %v\n    lookaside: %q\n", g.prefix(), attachments, "http://"+g.host()+lookasidePath)
	scopes := filepath.Join(dir, "registries.d")
	if err := os.Mkdir(scopes, 0o700); err != nil {
		return err
	}
	sys.RegistriesDirPath = scopes
	return os.WriteFile(filepath.Join(scopes, "gateway.yaml"), []byte(text), 0o600)
}

// usesAttachments says whether signatures lie beside a registry's images, by
// the most specific scope that says anything.
func usesAttachments(sys *types.SystemContext, ref types.ImageReference) (bool, error) {
	scopes := map[string]namespace{}
	var byDefault namespace
	files := configfile.File{
		Name: "registries", Extension: "yaml", DoNotLoadMainFiles: true, DoNotUseExtensionForConfigName: true,
		UserId: os.Geteuid(), CustomConfigFileDropInDirectory: sys.RegistriesDirPath, RootForImplicitAbsolutePaths: sys.RootForImplicitAbsolutePaths,
	}
	for item, err := range configfile.Read(&files) {
		if err != nil {
			return false, err
		}
		text, err := io.ReadAll(item.Reader)
		if err != nil {
			return false, err
		}
		var file struct {
			Default *namespace           `yaml:"default-docker"`
			Docker  map[string]namespace `yaml:"docker"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return false, fmt.Errorf("%s: %w", item.Name, err)
		}
		if file.Default != nil {
			byDefault = *file.Default
		}
		for scope, n := range file.Docker {
			scopes[scope] = n
		}
	}
	for _, scope := range append([]string{ref.PolicyConfigurationIdentity()}, ref.PolicyConfigurationNamespaces()...) {
		if n := scopes[scope]; n.Attachments != nil {
			return *n.Attachments, nil
		}
	}
	return byDefault.Attachments != nil && *byDefault.Attachments, nil
}

// lookasidePath is where the gateway serves signatures that lie elsewhere.
const lookasidePath = "/lookaside"

// signatureName is what follows the repository: docs/signature-protocols.md of
// the image library. Few runs of the program need it, and it is long to make.
var signatureName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^@[a-z0-9]+=[0-9a-f]{32,128}/signature-[0-9]{1,4}$`)
})

// serveSignature answers for one signature file; the rest of the address is checked.
func (g *gateway) serveSignature(w http.ResponseWriter, r *http.Request) bool {
	name, ok := strings.CutPrefix(r.URL.Path, lookasidePath+"/"+g.secret+"/"+g.repo)
	if !ok || g.lookaside == nil || !signatureName().MatchString(name) {
		return false
	}
	at := *g.lookaside
	at.Path += name
	body, err := openSignature(r.Context(), &at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	default:
		defer body.Close()
		_, _ = io.Copy(w, io.LimitReader(body, maxSignature))
	}
	return true
}

func openSignature(ctx context.Context, at *url.URL) (io.ReadCloser, error) {
	switch at.Scheme {
	case "file":
		return os.Open(at.Path)
	case "http", "https":
	default:
		return nil, fmt.Errorf("signatures at %s: unknown scheme", at.Redacted())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Body, nil
	case http.StatusNotFound:
		err = fs.ErrNotExist
	default:
		err = fmt.Errorf("signatures at %s: %s", at.Redacted(), resp.Status)
	}
	resp.Body.Close()
	return nil, err
}
