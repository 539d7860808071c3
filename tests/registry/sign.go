package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What cosign calls the parts of its signatures (its SIGNATURE_SPEC.md).
const (
	cosignPayload   = "application/vnd.dev.cosign.simplesigning.v1+json"
	cosignSignature = "dev.cosignproject.cosign/signature"
)

// SigningKey makes a key pair as cosign has them, and writes the public half.
func SigningKey(publicFile string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return key, writePEM(publicFile, "PUBLIC KEY", der)
}

// Sign puts signatures of a manifest beside it, as `cosign sign` does: one per
// key, all for the same reference (host/name:tag).
func (c Client) Sign(ctx context.Context, name string, manifest digest.Digest, reference string, keys ...*ecdsa.PrivateKey) error {
	payload, err := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": reference},
			"image":    map[string]string{"docker-manifest-digest": manifest.String()},
			"type":     "cosign container image signature",
		},
		"optional": map[string]string{"creator": "test"},
	})
	if err != nil {
		return err
	}
	config, err := c.PushBlob(ctx, name, ocispec.MediaTypeImageConfig, []byte("{}"))
	if err != nil {
		return err
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config}
	hash := sha256.Sum256(payload)
	for _, key := range keys {
		sig, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
		if err != nil {
			return err
		}
		layer, err := c.PushBlob(ctx, name, cosignPayload, payload)
		if err != nil {
			return err
		}
		layer.Annotations = map[string]string{cosignSignature: base64.StdEncoding.EncodeToString(sig)}
		m.Layers = append(m.Layers, layer)
	}
	_, err = c.PushManifest(ctx, name, strings.Replace(manifest.String(), ":", "-", 1)+".sig", ocispec.MediaTypeImageManifest, m)
	return err
}
