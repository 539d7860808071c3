package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/atomicwriter"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The list of referrers lies in the repository's own folder, so that it goes
// with it; the library passes over folders with an underscore:
//
//	<data>/docker/registry/v2/repositories/<name>/_referrers/<algorithm>/<subject>/<digest>
//
// Each file holds one descriptor. A file whose manifest is gone counts for
// nothing, so a deletion need not touch the list.

// referrer is a manifest with a subject.
type referrer struct {
	subject    digest.Digest
	descriptor ocispec.Descriptor
}

// readReferrer reads a manifest; ok is false when it has no subject.
func readReferrer(body []byte) (r referrer, ok bool) {
	var m struct {
		MediaType    string              `json:"mediaType"`
		ArtifactType string              `json:"artifactType"`
		Config       *ocispec.Descriptor `json:"config"`
		Subject      *ocispec.Descriptor `json:"subject"`
		Annotations  map[string]string   `json:"annotations"`
	}
	if json.Unmarshal(body, &m) != nil || m.Subject == nil || m.Subject.Digest.Validate() != nil {
		return referrer{}, false
	}
	if m.MediaType == "" {
		m.MediaType = ocispec.MediaTypeImageManifest
	}
	if m.ArtifactType == "" && m.Config != nil {
		m.ArtifactType = m.Config.MediaType
	}
	return referrer{subject: m.Subject.Digest, descriptor: ocispec.Descriptor{
		MediaType: m.MediaType, ArtifactType: m.ArtifactType, Annotations: m.Annotations,
		Digest: digest.FromBytes(body), Size: int64(len(body)),
	}}, true
}

func (h *referrers) repository(name string) string {
	return filepath.Join(h.data, "docker/registry/v2/repositories", filepath.FromSlash(name))
}

func (h *referrers) folder(name string, subject digest.Digest) string {
	return filepath.Join(h.repository(name), "_referrers", subject.Algorithm().String(), subject.Encoded())
}

// note adds a referrer to the list.
func (h *referrers) note(name string, r referrer) error {
	text, err := json.Marshal(r.descriptor)
	if err != nil {
		return err
	}
	dir := h.folder(name, r.subject)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, r.descriptor.Digest.Encoded()), text, 0o600)
}

func writeFile(path string, text []byte, mode fs.FileMode) error {
	if err := atomicwriter.WriteFile(path, text, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// referrersOf lists the manifests that refer to a subject and still exist.
func (h *referrers) referrersOf(name string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	if err := h.adopt(name); err != nil {
		return nil, err
	}
	dir := h.folder(name, subject)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []ocispec.Descriptor
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		var d ocispec.Descriptor
		if json.Unmarshal(text, &d) == nil && h.exists(name, d.Digest) {
			all = append(all, d)
		}
	}
	return all, nil
}

// exists says whether a repository still has a manifest.
func (h *referrers) exists(name string, d digest.Digest) bool {
	_, err := os.Stat(filepath.Join(h.repository(name), "_manifests/revisions", d.Algorithm().String(), d.Encoded(), "link"))
	return err == nil
}

// adopt makes the list of a repository whose manifests another server took, once.
func (h *referrers) adopt(name string) error {
	done := filepath.Join(h.repository(name), "_referrers", "complete")
	if _, err := os.Stat(done); err == nil || h.readOnly {
		return nil
	}
	links, err := filepath.Glob(filepath.Join(h.repository(name), "_manifests/revisions/*/*/link"))
	if err != nil || links == nil {
		return err // no such repository
	}
	for _, link := range links {
		text, err := os.ReadFile(link)
		if err != nil {
			return err
		}
		d, err := digest.Parse(strings.TrimSpace(string(text)))
		if err != nil {
			continue
		}
		body, err := h.blob(d)
		if err != nil {
			return err
		}
		if r, ok := readReferrer(body); ok {
			if err := h.note(name, r); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(done), 0o700); err != nil {
		return err
	}
	return writeFile(done, nil, 0o600)
}

// blob reads a manifest; one that is missing or too large is none.
func (h *referrers) blob(d digest.Digest) ([]byte, error) {
	path := filepath.Join(h.data, "docker/registry/v2/blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > maxManifest {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
