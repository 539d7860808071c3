package backend

import "encoding/json"

// ConfigReport is what the engine's configuration file says.
type ConfigReport struct {
	Path     string
	Settings json.RawMessage // the file's object, formatted
	Warnings []string        // keys without effect
}

// ConfigImport is what became of a daemon.json that was taken over.
type ConfigImport struct {
	Took    []string // keys
	Ignored []ConfigIgnored
}

// ConfigIgnored is a key that was not taken, and why.
type ConfigIgnored struct{ Key, Why string }

// ConfigChange changes one key of the configuration file: Words replace its
// value; with Add they join its list, with Remove they leave it (without Words
// the whole key goes).
type ConfigChange struct {
	Key    string
	Words  []string
	Add    bool
	Remove bool
}
