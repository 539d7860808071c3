// Counters that count nothing; see namespace.go. The main module puts it in the
// place of the original.
module github.com/docker/go-metrics

go 1.26.0
