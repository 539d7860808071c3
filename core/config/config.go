// Package config reads the engine's configuration file: docker's daemon.json
// in its own words, in a file of nacre's own. Nothing keeps what it read: every
// command, and every request of a served engine, loads the file afresh, so that
// a change counts from the next command on and nothing restarts.
//
// A key that nobody knows, or that has no meaning in an engine without daemon,
// costs a warning that names it; a value that cannot be meant is an error that
// names the line. The package knows words and values; what they do is up to the
// modules that read a Config.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
)

// DefaultPath is the file of an engine whose data root nobody chose, and
// EnvPath the environment variable that names another one.
const (
	DefaultPath = "/etc/nacre/daemon.json"
	EnvPath     = "NACRE_CONFIG_FILE"
)

// Config is what the file says. A field that the file does not mention is zero
// (a list or map: nil).
type Config struct {
	DataRoot string // absolute
	ExecRoot string // absolute
	Debug    bool
	Hosts    []string // where `nacre serve` listens: unix://PATH, fd://
	Labels   []string // of the engine, NAME=VALUE

	InsecureRegistries     Insecure
	RegistryMirrors        []string // of docker.io: http:// and https:// URLs without trailing slash
	MaxConcurrentDownloads int      // layers of one pull
	MaxConcurrentUploads   int      // layers of one push
	MaxDownloadAttempts    int
	Proxies                Proxies

	LogDriver string
	LogOpts   map[string]string

	DNS                 []netip.Addr
	DNSOptions          []string
	DNSSearch           []string
	BIP                 netip.Prefix // address and subnet of the default bridge; invalid: not set
	BIP6                netip.Prefix
	FixedCIDR           netip.Prefix // the part of the default bridge's subnet that containers get; invalid: all
	FixedCIDRv6         netip.Prefix
	IPv6                bool
	ICC                 *bool // nil: not said
	IPMasq              *bool
	DefaultNetworkOpts  map[string]map[string]string // by driver
	MTU                 int
	DefaultAddressPools []Pool
	HostGatewayIPs      []netip.Addr
	BindingIP           netip.Addr // `ip`: where ports are published unless told; invalid: not set

	DefaultUlimits      map[string]*units.Ulimit
	DefaultShmSize      int64 // bytes
	DefaultIPCMode      string
	DefaultCgroupnsMode string
	CgroupParent        string
	NoNewPrivileges     bool
	SELinux             bool // containers get labels, where the kernel has them
	SeccompProfile      string
	Init                bool
	DefaultRuntime      string
	CDISpecDirs         []string           // nil: /etc/cdi and /var/run/cdi
	Runtimes            map[string]Runtime // OCI runtimes for --runtime, by name
}

// Runtime is a program that runs containers.
type Runtime struct {
	Path string
	Args []string // before its command
}

// Pool is where the subnets of new networks come from: all subnets of Size bits in Base.
type Pool struct {
	Base netip.Prefix
	Size int
}

// Proxies are the proxies of the engine's own requests; empty fields leave it to the environment.
type Proxies struct{ HTTP, HTTPS, No string }

// File is the configuration file of one engine.
type File struct{ Path string }

// Locate finds the file of an engine: the path given, else the one in the
// environment (EnvPath), else daemon.json in the data root where one was chosen
// (so that engines with different roots share nothing), else DefaultPath.
func Locate(given, dataRoot string, getenv func(string) string) (File, error) {
	path := DefaultPath
	switch {
	case given != "":
		path = given
	case getenv(EnvPath) != "":
		path = getenv(EnvPath)
	case dataRoot != "":
		path = filepath.Join(dataRoot, "daemon.json")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return File{}, fmt.Errorf("find the configuration file: %w", err)
	}
	return File{Path: abs}, nil
}

// Load reads the file; a missing one says nothing. Errors are
// errdefs.ErrInvalidArgument and name file, line and key.
func (f File) Load() (Config, error) {
	c, _, err := f.Check()
	return c, err
}

// Check is Load that also returns what a person should know: a line for every
// key that has no effect.
func (f File) Check() (Config, []string, error) {
	text, err := f.read()
	if err != nil || text == nil {
		return Config{}, nil, err
	}
	return parse(f.Path, text)
}

// read returns nil where there is no file.
func (f File) read() ([]byte, error) {
	text, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("configuration file %s: %d bytes are too many: %w", f.Path, len(text), errdefs.ErrInvalidArgument)
	}
	return text, nil
}

// maxFile bounds a configuration in bytes.
const maxFile = 1 << 20
