// The one function that buildkit's parser needs of this module; see types.go.
// The main module puts it in the place of the original.
module github.com/containerd/typeurl/v2

go 1.26.0
