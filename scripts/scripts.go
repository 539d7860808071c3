// Package scripts holds the Lua scripts that come with nacre. They are part of
// the program, so that they are there wherever it is.
package scripts

import "embed"

//go:embed *.lua
var files embed.FS

// Files returns the scripts by file name.
func Files() embed.FS { return files }
