package mirror

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/containerd/errdefs"
)

// Whatever the mirror file holds, it is read or refused as a bad argument; what
// was read is written so that it means the same.
func FuzzMirrorFile(f *testing.F) {
	for _, seed := range []string{
		"", "[[registry]]\nname = \"docker.io\"\nuse = \"fast\"\n[[registry.mirror]]\nname = \"fast\"\nurl = \"https://m.example\"\n",
		"[[registry]]\nname = \"index.docker.io\"\n[[registry.mirror]]\nurl = \"http://[::1]:5000/path\"\ndisabled = true\n",
		"[registry]\nname = 1\n", "registry = []\nregistry = []\n", "[[registry]]\nunknown = 1\n", "[[registry.mirror]]\nurl = \"ftp://x\"\n", "\x00", "name = \"\\ud800\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := File{Path: "mirrors.toml"}.parse(data)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		for _, r := range c.Registries {
			r.order()
		}
		c.list()
		var written bytes.Buffer
		if err := toml.NewEncoder(&written).Encode(c); err != nil {
			t.Fatalf("write %+v: %v", c, err)
		}
		again, err := File{Path: "mirrors.toml"}.parse(written.Bytes())
		if err != nil || !reflect.DeepEqual(normal(again), normal(c)) {
			t.Errorf("%+v was written as\n%s\nand read as %+v, %v", c, written.Bytes(), again, err)
		}
	})
}

// normal takes no list for an empty one.
func normal(c Config) Config {
	for i, r := range c.Registries {
		if len(r.Mirrors) == 0 {
			c.Registries[i].Mirrors = nil
		}
	}
	if len(c.Registries) == 0 {
		c.Registries = nil
	}
	return c
}
