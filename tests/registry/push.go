package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// docker's media types of schema 2; OCI's are in ocispec.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Push puts an image into the registry at addr (host:port, plain HTTP) and
// returns the digest of its manifest. An empty tag pushes by digest only.
func Push(ctx context.Context, addr, name, tag string, img Image) (digest.Digest, error) {
	d, err := Client{Addr: addr}.Push(ctx, name, tag, img)
	return d.Digest, err
}

// PushIndex puts images for several platforms under one tag.
func PushIndex(ctx context.Context, addr, name, tag string, images ...Image) (digest.Digest, error) {
	return Client{Addr: addr}.PushIndex(ctx, name, tag, images...)
}

// Client writes to a registry, as a user where one is given.
type Client struct {
	Addr, User, Password string
}

// Push puts one image into the registry and returns its manifest's descriptor.
func (c Client) Push(ctx context.Context, name, tag string, img Image) (ocispec.Descriptor, error) {
	manifestType, configType, layerType := dockerManifest, dockerConfig, dockerLayer
	if img.OCI {
		manifestType, configType, layerType = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip
	}
	config, err := json.Marshal(img.Config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: manifestType}
	if m.Config, err = c.PushBlob(ctx, name, configType, config); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, l := range img.Layers {
		d, err := c.PushBlob(ctx, name, layerType, l.Blob)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		m.Layers = append(m.Layers, d)
	}
	d, err := c.PushManifest(ctx, name, tag, manifestType, m)
	platform := img.Config.Platform
	d.Platform = &platform
	return d, err
}

// PushIndex puts the images under their digests and a list of them under the tag.
func (c Client) PushIndex(ctx context.Context, name, tag string, images ...Image) (digest.Digest, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerList}
	for _, img := range images {
		if img.OCI {
			index.MediaType = ocispec.MediaTypeImageIndex
		}
		d, err := c.Push(ctx, name, "", img)
		if err != nil {
			return "", err
		}
		index.Manifests = append(index.Manifests, d)
	}
	d, err := c.PushManifest(ctx, name, tag, index.MediaType, index)
	return d.Digest, err
}

// PushManifest puts any JSON document under a tag (or, without one, under its digest).
func (c Client) PushManifest(ctx context.Context, name, tag, mediaType string, manifest any) (ocispec.Descriptor, error) {
	body, err := json.Marshal(manifest)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
	if tag == "" {
		tag = d.Digest.String()
	}
	_, err = c.do(ctx, http.MethodPut, c.url(name, "manifests", tag), mediaType, body, http.StatusCreated)
	return d, err
}

// PushBlob uploads a blob in one piece unless the repository has it.
func (c Client) PushBlob(ctx context.Context, name, mediaType string, blob []byte) (ocispec.Descriptor, error) {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	if _, err := c.do(ctx, http.MethodHead, c.url(name, "blobs", d.Digest.String()), "", nil, http.StatusOK); err == nil {
		return d, nil
	}
	resp, err := c.do(ctx, http.MethodPost, c.url(name, "blobs", "uploads/"), "", nil, http.StatusAccepted)
	if err != nil {
		return d, err
	}
	location, err := resp.Location()
	if err != nil {
		return d, fmt.Errorf("upload a blob of %s: %w", name, err)
	}
	query := location.Query()
	query.Set("digest", d.Digest.String())
	location.RawQuery = query.Encode()
	_, err = c.do(ctx, http.MethodPut, location, "application/octet-stream", blob, http.StatusCreated)
	return d, err
}

func (c Client) url(name, kind, what string) *url.URL {
	return &url.URL{Scheme: "http", Host: c.Addr, Path: "/v2/" + name + "/" + kind + "/" + what}
}

func (c Client) do(ctx context.Context, method string, u *url.URL, contentType string, body []byte, want int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.User != "" {
		req.SetBasicAuth(c.User, c.Password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("%s %s: %s: %s", method, u.Redacted(), resp.Status, text)
	}
	return resp, nil
}
