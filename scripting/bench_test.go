package scripting_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/nacre-sh/nacre/scripting"
)

// BenchmarkState is what every script, and every call of a plugin, pays first.
func BenchmarkState(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := scripting.New(b.Context(), (&session{}).invocation())
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadPlugin is what every Lua plugin adds to the start of nacre.
func BenchmarkLoadPlugin(b *testing.B) {
	path := filepath.Join(b.TempDir(), "init.lua")
	text := `nacre.command{ name = "x", short = "X", flags = { { name = "force", short = "f" } }, run = function(args, flags, io)
		for _, img in ipairs(nacre.images{ dangling = true }) do img:remove{ force = flags.force } end
	end }`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scripting.LoadPlugin(b.Context(), path, nil, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
