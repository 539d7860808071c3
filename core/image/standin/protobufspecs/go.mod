// The names of keys and hashes in sigstore's signatures; see
// gen/pb-go/common/v1/names.go. The main module puts it in the place of the original.
module github.com/sigstore/protobuf-specs

go 1.26.0
