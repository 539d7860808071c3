package backend

import (
	"encoding/json"
	"time"

	"github.com/moby/moby/api/types/registry"
)

// RemoteImage is what a registry says about one reference.
type RemoteImage struct {
	Name      string // as asked for, with tag or digest
	Digest    string
	MediaType string
	Manifest  json.RawMessage  // as the registry has it
	Platforms []RemotePlatform // one for an image, several for an index; none for an artifact
	Referrers []RemoteReferrer // signatures, attestations and the like
}

// RemotePlatform is one platform's image.
type RemotePlatform struct {
	Platform string // linux/amd64, linux/arm/v7
	Digest   string
	Size     int64 // bytes of config and packed layers
	Created  *time.Time
	Config   json.RawMessage // the image's configuration
	Layers   []RemoteLayer
}

// RemoteLayer is one packed layer.
type RemoteLayer struct {
	Digest    string
	MediaType string
	Size      int64
}

// RemoteReferrer is something that refers to an image: by OCI's subject, or by
// a tag that cosign makes of the image's digest.
type RemoteReferrer struct {
	ArtifactType string
	Digest       string
	Tag          string // only for cosign's
	Size         int64
}

// RegistryCopy asks for a copy from registry to registry.
type RegistryCopy struct {
	Source, Target string
	SourceAuth     *registry.AuthConfig
	TargetAuth     *registry.AuthConfig
	Progress       Progress
}
