package api

import (
	"encoding/json"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// parsePlatform reads a platform in either of the API's two notations: a JSON
// object, or os/arch[/variant].
func parsePlatform(raw string) (ocispec.Platform, error) {
	if !strings.HasPrefix(strings.TrimSpace(raw), "{") {
		p, err := platforms.Parse(raw)
		if err != nil {
			return ocispec.Platform{}, invalid("invalid platform %q: %s", raw, err)
		}
		return p, nil
	}
	var p ocispec.Platform
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return p, invalid("failed to parse platform: %s", err)
	}
	if p.OS == "" || p.Architecture == "" {
		return p, invalid("both OS and Architecture must be provided")
	}
	return p, nil
}
