// Package otlptracegrpc stands in for the exporter of docker/cli's telemetry. nacre
// sends none, but the original brings gRPC, Protocol Buffers and their
// registries into every start of the program, more than a millisecond and
// some megabytes. Only what docker/cli calls is here, and New always refuses.
package otlptracegrpc

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/sdk/trace"
)

// Option is a setting, which has no effect.
type Option struct{}

// WithEndpoint names where the original would send to.
func WithEndpoint(string) Option { return Option{} }

// WithInsecure would let it do so without TLS.
func WithInsecure() Option { return Option{} }

// New refuses: docker/cli then goes on without an exporter.
func New(context.Context, ...Option) (trace.SpanExporter, error) {
	return nil, errors.New("nacre sends no telemetry")
}
