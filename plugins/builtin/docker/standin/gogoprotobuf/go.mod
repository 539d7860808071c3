// The one type that docker/cli needs of this module; see types/duration.go.
// The main module puts it in the place of the original.
module github.com/gogo/protobuf

go 1.26.0
