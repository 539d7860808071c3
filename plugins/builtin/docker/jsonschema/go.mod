// nacre's own jsonschema, as far as docker/cli needs it; see schema.go. The main
// module puts it in the place of the original with a replace line.
module github.com/santhosh-tekuri/jsonschema/v6

go 1.26.0

require golang.org/x/text v0.43.0
