// The defaults of services, as docker/cli needs them; see api/types.go. The
// main module puts it in the place of the original.
module github.com/moby/swarmkit/v2

go 1.26.0

require github.com/gogo/protobuf v1.3.2
