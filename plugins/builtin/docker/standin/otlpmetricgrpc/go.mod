// What docker/cli needs of this module to be built, without its work; see
// exporter.go. The main module puts it in the place of the original.
module go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc

go 1.26.0

require go.opentelemetry.io/otel/sdk/metric v1.46.0
