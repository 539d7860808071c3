package backend

import (
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImageLoad takes images out of an archive; see POST /images/load.
type ImageLoad struct {
	Quiet     bool               // no progress of the layers
	Platforms []ocispec.Platform // which of an image's platforms; empty: this machine's
	Progress  Progress
}

// ImageSave puts images into an archive; see GET /images/get. A name without a
// tag means all tags of the repository.
type ImageSave struct {
	Names     []string
	Platforms []ocispec.Platform // refuses images that are for none of them
}

// ImageImport makes an image of a root file system; see POST /images/create?fromSrc=.
type ImageImport struct {
	Source   string          // "-" for the request's body, or a URL to be fetched
	Ref      reference.Named // with a tag; nil: the image gets no name
	Message  string
	Changes  []string
	Platform *ocispec.Platform
	Progress Progress
}
