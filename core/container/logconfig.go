package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Bounds of a log that nobody has given any: docker's daemon leaves json-file
// unbounded, and full disks are what its users complain about. Those of local
// are docker's.
const (
	jsonLogSize  = 10 << 20
	jsonLogFiles = 3
	localSize    = 20 << 20
	localFiles   = 5
	ringSize     = 1 << 20 // of mode=non-blocking
)

// journalSocket is where systemd's journal listens, sd_journal_send(3).
const journalSocket = "/run/systemd/journal/socket"

// defaultLog completes a container's log by what the engine's configuration
// says: the driver where none is named, and that driver's options.
func (m *Module) defaultLog(c *container.LogConfig) error {
	standard := container.LogConfig{}
	if m.logging != nil {
		var err error
		if standard, err = m.logging(); err != nil {
			return err
		}
	}
	standard.Type = orElse(standard.Type, shimapi.LogJSONFile)
	if c.Type = orElse(c.Type, standard.Type); c.Type == standard.Type && len(standard.Config) > 0 {
		c.Config = overlay(standard.Config, c.Config)
	}
	return nil
}

// logOptions are the words of --log-opt that a driver knows, beside mode and
// max-buffer-size, which all know.
var logOptions = map[string][]string{
	shimapi.LogJSONFile: {"max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"},
	shimapi.LogLocal:    {"max-size", "max-file", "compress"},
	shimapi.LogJournald: {"labels", "labels-regex", "env", "env-regex", "tag"},
	shimapi.LogNone:     nil,
}

// readable tells whether `logs` can show what the driver keeps.
func readable(driver string) bool { return driver != shimapi.LogNone }

func (m *Module) logPath(id, driver string) string {
	name := id + "-json.log" // docker's
	if driver != shimapi.LogJSONFile {
		name = "container.log"
	}
	return filepath.Join(m.paths.Container(id), name)
}

// logDriver reads --log-driver and --log-opt; what is not served is refused.
func logDriver(c container.LogConfig, path string) (shimapi.Log, error) {
	log := shimapi.Log{Driver: c.Type, Path: path, MaxSize: jsonLogSize, MaxFiles: jsonLogFiles}
	known, ok := logOptions[c.Type]
	if !ok {
		return log, invalid("error looking up logging plugin %s: plugin %q not found\nhint: this engine has json-file, local, journald and none", c.Type, c.Type)
	}
	switch c.Type {
	case shimapi.LogLocal:
		log.MaxSize, log.MaxFiles, log.Compress = localSize, localFiles, true
	case shimapi.LogJournald:
		if _, err := os.Stat(journalSocket); err != nil {
			return log, invalid("failed to create task for container: failed to initialize logging driver: journald is not enabled on this host: %s is missing", journalSocket)
		}
	}
	for key, value := range c.Config {
		if key != "mode" && key != "max-buffer-size" && !slices.Contains(known, key) {
			if c.Type == shimapi.LogLocal {
				return log, invalid("unknown log opt '%s' for log driver local", key)
			}
			return log, invalid("unknown log opt '%s' for %s log driver", key, c.Type)
		}
		if err := logOption(&log, key, value); err != nil {
			return log, err
		}
	}
	return log, checkLogOptions(c, &log)
}

func logOption(log *shimapi.Log, key, value string) (err error) {
	switch key {
	case "mode":
		switch container.LogMode(value) {
		case container.LogModeUnset, container.LogModeBlocking:
		case container.LogModeNonBlock:
			if log.MaxBuffer == 0 {
				log.MaxBuffer = ringSize
			}
		default:
			return invalid("logger: logging mode not supported: %s", value)
		}
		return nil
	case "max-buffer-size":
		if log.MaxBuffer, err = units.RAMInBytes(value); err != nil {
			return invalid("error parsing option max-buffer-size: %v", err)
		}
		return nil
	}
	if err := driverOption(log, key, value); err != nil {
		return noLogger(err)
	}
	return nil
}

// noLogger is docker's way to say that an option is wrong; it says so at the start.
func noLogger(err error) error { return invalid("failed to initialize logging driver: %v", err) }

// driverOption reads what is the driver's own; sizes are decimal, as docker's.
func driverOption(log *shimapi.Log, key, value string) (err error) {
	switch key {
	case "max-size":
		if log.MaxSize = 0; value != "-1" {
			if log.MaxSize, err = units.FromHumanSize(value); err == nil && log.MaxSize <= 0 && log.Driver != shimapi.LogLocal {
				err = errors.New("max-size must be a positive number")
			}
		}
	case "max-file":
		if log.MaxFiles, err = strconv.Atoi(value); err == nil && log.MaxFiles < 1 {
			err = fmt.Errorf("max-file cannot be less than 1")
		}
	case "compress":
		log.Compress, err = strconv.ParseBool(value)
	case "labels-regex", "env-regex":
		_, err = regexp.Compile(value)
	case "tag":
		_, err = template.New("log-tag").Funcs(tagFuncs).Parse(value)
	}
	return err
}

// checkLogOptions looks at what depends on two options.
func checkLogOptions(c container.LogConfig, log *shimapi.Log) error {
	_, sized := c.Config["max-size"]
	_, counted := c.Config["max-file"]
	if sized && !counted && c.Type == shimapi.LogJSONFile {
		log.MaxFiles = 1 // docker's
	}
	if _, buffered := c.Config["max-buffer-size"]; buffered && c.Config["mode"] != string(container.LogModeNonBlock) {
		return invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
	}
	if log.MaxFiles > 1 && log.MaxSize <= 0 && counted {
		return noLogger(errors.New("max-file can only be used with max-size"))
	}
	if log.Compress && c.Config["compress"] != "" && log.MaxFiles < 2 {
		return noLogger(errors.New("compress cannot be true when max-file is less than 2 or max-size is not set"))
	}
	if log.MaxSize <= 0 {
		log.MaxFiles, log.Compress = 1, false
	}
	return nil
}

// logRequest is what the shim must know of a container's log.
func (m *Module) logRequest(r *record) (shimapi.Log, error) {
	c := r.HostConfig.LogConfig
	log, err := logDriver(c, m.logPath(r.ID, c.Type))
	if err != nil || c.Type == shimapi.LogNone {
		return log, err
	}
	attrs := logAttributes(c.Config, r.Config)
	tag, err := logTag(c.Config["tag"], r)
	if err != nil {
		return log, noLogger(err)
	}
	if c.Type == shimapi.LogJournald {
		log.Journal = journalFields(attrs, tag, r)
		return log, nil
	}
	if c.Config["tag"] != "" {
		attrs["tag"] = tag
	}
	log.Attrs = attrs
	return log, nil
}

// logAttributes are the labels and variables that go with every entry.
func logAttributes(opts map[string]string, c *container.Config) map[string]string {
	attrs := map[string]string{}
	env := map[string]string{}
	for _, entry := range c.Env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	for _, from := range []struct {
		option string
		values map[string]string
	}{{"labels", c.Labels}, {"env", env}} {
		names := strings.Split(opts[from.option], ",")
		pattern, err := regexp.Compile(opts[from.option+"-regex"])
		matches := err == nil && opts[from.option+"-regex"] != ""
		for name, value := range from.values {
			if slices.Contains(names, name) || matches && pattern.MatchString(name) {
				attrs[name] = value
			}
		}
	}
	return attrs
}
