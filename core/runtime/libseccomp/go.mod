// nacre's own libseccomp-golang; see seccomp.go. The main module puts it in the
// place of the original with a replace line.
module github.com/seccomp/libseccomp-golang

go 1.26.0

require golang.org/x/sys v0.49.0
