package docker

import (
	"fmt"
	"testing"

	"github.com/docker/cli/cli/compose/schema"
)

type m = map[string]any
type a = []any

// service is a compose file with one service.
func service(fields m) m { return m{"version": "3.8", "services": m{"web": fields}} }

// TestComposeValidation holds the module in jsonschema/ against the words of
// the original, which were recorded with it in place: `stack deploy` and `stack
// config` speak them.
func TestComposeValidation(t *testing.T) {
	for _, c := range []struct {
		name   string
		config m
		want   string
	}{
		{"empty", m{}, ""},
		{"a service", service(m{"image": "busybox"}), ""},
		{"everything", service(m{
			"image": "busybox", "command": a{"sleep", "1"}, "ports": a{"80:80", 81, m{"target": 80, "published": 8080}},
			"environment": m{"A": "b", "N": 1, "X": nil}, "networks": a{"front"}, "deploy": m{"replicas": 2, "resources": m{"limits": m{"cpus": "0.5"}}},
			"healthcheck": m{"test": "true", "interval": "10s", "retries": 3}, "labels": a{"a=b"}, "volumes": a{"data:/data", m{"type": "volume", "target": "/x"}},
			"ulimits": m{"nofile": m{"soft": 1, "hard": 2}, "nproc": 5}, "build": m{"context": ".", "args": a{"a=1"}}, "x-own": 1,
		}), ""},
		{"unknown field", service(m{"image": "busybox", "nosuch": 1}), "services.web: additional property 'nosuch' is not allowed"},
		{"unknown top", m{"version": "3.8", "servces": m{}}, "(root): additional property 'servces' is not allowed"},
		{"wrong type", service(m{"image": 5}), "services.web.image: must be a string"},
		{"wrong type of services", m{"version": "3.8", "services": a{}}, "services: must be a mapping"},
		{"one of", service(m{"command": m{"a": 1}}), "services.web.command: must be a string"},
		{"one of, deeper", service(m{"command": a{"x", 1}}), "services.web.command.1: must be a string"},
		{"port", service(m{"ports": a{"80:http"}}), "services.web.ports.0: '80:http' is not valid ports: invalid containerPort: http"},
		{"port as a mapping", service(m{"ports": a{m{"targt": 80}}}), "services.web.ports.0: additional property 'targt' is not allowed"},
		{"duration", service(m{"healthcheck": m{"interval": "soon"}}), `services.web.healthcheck.interval: 'soon' is not valid duration: time: invalid duration "soon"`},
		{"duplicates", service(m{"cap_add": a{"A", "B", "A"}}), "services.web.cap_add: items at 0 and 2 are equal"},
		{"required", service(m{"volumes": a{m{"target": "/x"}}}), "services.web.volumes.0: missing property 'type'"},
		{"minimum", service(m{"shm_size": a{}}), "services.web.shm_size: must be a number or a string"},
		{"below", m{"version": "3.8", "configs": m{"x": m{"external": "no"}}}, "configs.x.external: must be a boolean or a mapping"},
		{"bad service name", m{"version": "3.8", "services": m{"a b": m{}}}, "services: additional property 'a b' is not allowed"},
		{"bool for string", service(m{"image": true}), "services.web.image: must be a string"},
		{"fraction for integer", service(m{"deploy": m{"replicas": 1.5}}), "services.web.deploy.replicas: must be an integer"},
		{"whole number as a float", service(m{"deploy": m{"replicas": 2.0}}), ""},
		{"percentage", m{"version": "3.8", "services": m{"web": m{"volumes": a{m{"type": "tmpfs", "tmpfs": m{"size": -1}}}}}}, "services.web.volumes.0.tmpfs.size: must be greater than or equal to 0"},
		{"two wrong depths", m{"version": "3.8", "nosuch": 1, "services": m{"web": m{"deploy": m{"mode": 1}}}}, "services.web.deploy.mode: must be a string"},
		{"an old version", m{"version": "3.0", "services": m{"web": m{"init": true}}}, "services.web: additional property 'init' is not allowed"},
		{"no such version", m{"version": "9"}, "unsupported Compose file version: 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := schema.Validate(c.config, schema.Version(c.config)); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestComposeVersions: every schema that docker/cli has compiles and refuses.
func TestComposeVersions(t *testing.T) {
	for i := range 14 {
		version := fmt.Sprintf("3.%d", i)
		good := m{"version": version, "services": m{"web": m{"image": "busybox", "ports": a{"80:80"}}}}
		if err := schema.Validate(good, version); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		bad := m{"version": version, "services": m{"web": m{"image": a{}}}}
		if err := schema.Validate(bad, version); err == nil || err.Error() != "services.web.image: must be a string" {
			t.Errorf("%s: %v", version, err)
		}
	}
}
