package compat

import (
	"regexp"
	"strings"
	"testing"
)

// liveStep is a command on a container that runs (live) or does not (idle).
type liveStep struct {
	command string
	in      string
	ours    string // part of our message where it is not docker's
	why     string
	code    int // with why
}

var liveSteps = []liveStep{
	{command: "update -m 64m --memory-swap 128m live"},
	{command: "update -m 96m live"},
	{command: "update -m 256m live"},
	{command: "update --memory-reservation 32m --cpu-shares 512 live"},
	{command: "update --cpu-period 50000 --cpu-quota 25000 live"},
	{command: "update --cpus 1 live"},
	{command: "update --cpus 1 idle"},
	{command: "update --cpus .5 idle"},
	{command: "update --cpu-quota 5000 idle"},
	{command: "update --cpuset-cpus 0 --cpuset-mems 0 live"},
	{command: "update --cpuset-cpus 4000 live"},
	{command: "update --pids-limit 50 live"},
	{command: "update --pids-limit -1 live"},
	{command: "update --pids-limit 0 live"},
	{command: "update --restart on-failure:3 live"},
	{command: "update --restart always:3 live", ours: "invalid restart policy: maximum retry count can only be used with 'on-failure'", why: newer, code: 1},
	{command: "update --restart no live"},
	{command: "update --restart unless-stopped idle"},
	{command: "update --restart no idle"},
	{command: "update -m 1m live"},
	{command: "update -m 32m --memory-swap 16m idle"},
	{command: "update -m 64m idle"},
	{command: "update --memory-swap -1 idle"},
	{command: "update --blkio-weight 5 live", ours: "Range of blkio weight is from 10 to 1000", why: "docker does not know BFQ's weights", code: 1},
	{command: "update live"},
	{command: "update --cpu-shares 100 nobody"},
	{command: "update --cpu-shares 100 nobody live"},

	{command: "exec live sh -c echo␣out;␣echo␣err␣>&2;␣exit␣3"},
	{command: "exec -i live cat", in: "fed"},
	{command: "exec live cat", in: "not fed"},
	{command: "exec -e A=1 -e B= -e COLOUR=green -e NOT_SET live env"},
	{command: "exec --env-file ENVFILE live env"},
	{command: "exec -w /tmp live pwd"},
	{command: "exec -w /no/such live pwd", ours: `chdir to cwd ("/no/such") set in config.json failed: no such file or directory: unknown`, why: newer, code: 128},
	{command: "exec -w relative live pwd", ours: `Cwd must be an absolute path`, why: newer, code: 126},
	{command: "exec -w /etc/passwd live pwd", ours: `set in config.json failed: not a directory`, why: newer, code: 127},
	{command: "exec live sh -c pwd;␣id;␣echo␣$HOME"},
	{command: "exec -u root live sh -c id;␣echo␣$HOME;␣grep␣Cap␣/proc/self/status"},
	{command: "exec -u bob live id"},
	{command: "exec -u 77 live id"},
	{command: "exec -u 77:audio live id"},
	{command: "exec -u nosuch live id"},
	{command: "exec -u root:nosuch live id"},
	{command: "exec live nosuchcommand", ours: `exec: "nosuchcommand": executable file not found in $PATH: unknown`, why: newer, code: 127},
	{command: "exec live /no/such", ours: `exec: "/no/such": stat /no/such: no such file or directory: unknown`, why: newer, code: 127},
	{command: "exec live /etc/passwd"},
	{command: "exec live /etc", ours: "is a directory: unknown: permission denied", why: newer, code: 126},
	{command: "exec live ''", ours: `exec: "": executable file not found in $PATH: unknown`, why: newer, code: 127},
	{command: "exec live sh -c kill␣-9␣$$"},
	{command: "exec live sh -c kill␣-TERM␣$$"},
	{command: "exec -d live true"},
	{command: "exec -d live nosuchcommand"},
	{command: "exec -t live sh -c tty;␣echo␣$TERM"},
	{command: "exec -d -it live true"},
	{command: "exec idle true", ours: `is not running`, why: newer, code: 1},
	{command: "exec nobody true"},
	{command: "exec --detach-keys ctrl-x,x live echo keys"},
	{command: "exec --detach-keys nonsense live true"},

	{command: "start live"},
	{command: "start -a live other"},
	{command: "start nobody"},
	{command: "start nobody live"},
	{command: "start -a ends"},
	{command: "start -ai reads", in: "line\n"},
	{command: "start -i ends"},
	{command: "start ends reads nobody"},
	{command: "start --detach-keys nonsense -ai ends"},
	{command: "wait ends"},
	{command: "start wrong"},
	{command: "start -a wrong"},
	{command: "inspect -f {{.State.ExitCode}}␣{{.State.Status}}␣{{.State.Error}} wrong"},
}

var hostname = regexp.MustCompile(`\b[0-9a-f]{12}\b`)

// TestUpdateStartExec gives both engines the same commands on containers that
// run and that do not, and compares output, status, and after an update what
// inspect and the control groups tell.
func TestUpdateStartExec(t *testing.T) {
	dockers, ours := peers(t)
	both := []peer{dockers, ours}
	names := []*strings.Replacer{dockers.others(), ours.others()}
	for i := range both {
		p := both[i]
		for _, args := range []string{
			"run -d --name live --network none -e INSIDE=1 FULL sleep␣1000",
			"create --name idle --network none FULL",
			"create --name ends --network none FULL echo␣out;␣echo␣err␣>&2;␣exit␣5",
			"create --name reads -i --network none FULL cat;␣exit␣6",
			"create --name wrong --network none --entrypoint nosuchcommand FULL",
		} {
			words := strings.Fields(args)
			for j := range words {
				words[j] = names[i].Replace(words[j])
			}
			p.ok(words...)
		}
		t.Cleanup(func() { p.T = t; p.remove("live", "idle", "ends", "reads", "wrong") })
	}
	for _, s := range liveSteps {
		t.Run(strings.ReplaceAll(s.command, "/", "_"), func(t *testing.T) {
			var found [2]result
			var after [2]map[string]string
			onBoth(t, dockers, ours, func(i int, p peer) {
				words := strings.Fields(s.command)
				for j := range words {
					words[j] = names[i].Replace(words[j])
				}
				found[i] = p.feed(s.in, words...)
				found[i].err, found[i].out = normalised(found[i].err), hostname.ReplaceAllString(normalised(found[i].out), "<id12>")
				if words[0] == "update" {
					after[i] = updated(p, words[len(words)-1])
				}
			})
			d, o := found[0], found[1]
			if s.why != "" && (o.code != s.code || !strings.Contains(o.out+o.err, s.ours)) || s.why == "" && d != o {
				t.Errorf("docker %+v\nnacre  %+v", d, o)
			}
			if s.why == "" {
				for _, d := range differences(after[0], after[1]) {
					if field, _, _ := strings.Cut(d, ":"); reason(field, nil) == "" {
						t.Error(d)
					}
				}
			}
		})
	}
}

// updated is what an update can change, as inspect and the kernel have it.
func updated(p peer, name string) map[string]string {
	if name == "nobody" {
		return nil
	}
	answer := p.get("/containers/" + name + "/json")
	all := fields(map[string]any{"HostConfig": answer["HostConfig"]}, answer["Id"].(string))
	if name == "live" {
		all["cgroup"] = strings.ReplaceAll(p.ok("exec", name, "sh", "-c", topics["cgroup"]), "c 5:1 rwm\n", "")
	}
	return all
}
