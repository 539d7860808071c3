package program

import (
	"os"
	"slices"
	"testing"
)

func TestEnviron(t *testing.T) {
	for _, name := range []string{"DOCKER_HOST", "NACRE_DATA_ROOT", "XDG_CONFIG_HOME", "NO_COLOR", "LC_ALL", "TZ", "http_proxy"} {
		t.Setenv(name, "nonsense")
		if slices.Contains(Environ(), name+"=nonsense") {
			t.Errorf("%s is handed on", name)
		}
	}
	t.Setenv(Env, "/bin")
	t.Setenv("LANGUAGES", "kept")
	got := Environ("DOCKER_HOST=mine")
	for _, want := range []string{Env + "=/bin", "LANGUAGES=kept", "DOCKER_HOST=mine", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if err := Isolate(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(Environ(), os.Environ()) || os.Getenv(Env) != "/bin" {
		t.Errorf("isolated: %v", os.Environ())
	}
}
