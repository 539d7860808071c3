// Telemetry that is never sent; see exporter.go. The main module puts it in the
// place of the original.
module go.opentelemetry.io/contrib/exporters/autoexport

go 1.26.0

require go.opentelemetry.io/otel/sdk v1.46.0
