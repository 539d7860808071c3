package compat

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// errorCase is a `run` that fails.
type errorCase struct {
	flags string
	ours  string // part of our message where it is not docker's
	why   string // reason for it
	code  int    // 125 where nothing else is said and why is
}

// TestRunErrors gives every flag what it cannot take, on both engines: message,
// status and what is left behind are compared.
func TestRunErrors(t *testing.T) {
	dockers, ours := peers(t)
	names := []*strings.Replacer{dockers.others(), ours.others()}
	for _, e := range runErrors {
		t.Run(strings.ReplaceAll(e.flags, "/", "_"), func(t *testing.T) {
			compareError(t, dockers, ours, e, names)
		})
	}
}

func compareError(t *testing.T, dockers, ours peer, e errorCase, names []*strings.Replacer) {
	if e.why != "" { // nothing to compare with
		ours.T = t
		o, _ := ours.fails(e, names[1])
		if !strings.Contains(o.err, e.ours) || o.code != cmp.Or(e.code, 125) {
			t.Errorf("nacre  %+v\nwant   %s", o, e.ours)
		}
		return
	}
	var found [2]result
	var left [2]int
	onBoth(t, dockers, ours, func(i int, p peer) { found[i], left[i] = p.fails(e, names[i]) })
	if found[0] != found[1] {
		t.Errorf("docker %+v\nnacre  %+v", found[0], found[1])
	}
	if left[0] != left[1] {
		t.Errorf("containers left: docker %d, nacre %d", left[0], left[1])
	}
}

// fails runs the case and tells how many containers it left behind.
func (p peer) fails(e errorCase, names *strings.Replacer) (result, int) {
	args := flagCase{flags: e.flags}.args(names)
	args[0] = "run"
	r := p.docker(args...)
	r.err = normalised(r.err)
	left := strings.Fields(p.ok("ps", "-a", "--format", "{{.Names}}"))
	left = slices.DeleteFunc(left, func(name string) bool { return name == "other" })
	p.remove(left...)
	return r, len(left)
}

// normalised is a message without what differs from machine to machine.
func normalised(text string) string {
	for _, vary := range varying {
		text = vary.what.ReplaceAllString(text, vary.by)
	}
	text = strings.NewReplacer(
		"\nRun 'docker run --help' for more information", "",
		"failed to create task for container: ", "", // newer docker's words
		"error during container init: ", "", // newer runc's
	).Replace(text)
	return strings.TrimSpace(text)
}

// newer: the words of docker 28.
const newer = "newer docker says so"

var runErrors = []errorCase{
	// The client's own checks are the same code; these go through the engine.
	{flags: "--name other"},
	{flags: "--name x"},
	{flags: "--name -x"},
	{flags: "--name a/b"},
	{flags: "--entrypoint '' FULL", ours: `no command specified`, why: newer},
	{flags: "--entrypoint /no/such"},
	{flags: "--entrypoint /etc/passwd"},
	{flags: "--entrypoint /tmp", ours: `exec: "/tmp": is a directory: unknown: permission denied`, why: newer, code: 126},
	{flags: "BUSYBOX nosuchcommand"},
	{flags: "BUSYBOX /no/such/command"},
	{flags: "BUSYBOX ./relative"},
	{flags: "BUSYBOX /etc/passwd"},
	{flags: "BUSYBOX /etc", ours: `exec: "/etc": is a directory: unknown: permission denied`, why: newer, code: 126},
	{flags: "BUSYBOX ''"},
	{flags: "-e =x"},
	{flags: "-w relative"},
	{flags: "-w /etc/passwd", ours: `mkdir /etc/passwd: not a directory`, why: "found at the start; docker makes the folder at create"},
	{flags: "-u nosuchuser"},
	{flags: "-u root:nosuchgroup"},
	{flags: "-u 99999999999"},
	{flags: "-u -1"},
	{flags: "--group-add nosuchgroup", ours: `unable to find group nosuchgroup: no matching entries in group file`, why: newer},
	{flags: "--stop-signal NOPE", ours: `invalid signal: NOPE`, why: newer},
	{flags: "--stop-signal 999"},
	{flags: "--restart sometimes", ours: `invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`, why: newer},
	{flags: "--restart always:3", ours: `invalid restart policy: maximum retry count can only be used with 'on-failure'`, why: newer},
	{flags: "--restart on-failure:-1", ours: `invalid restart policy: maximum retry count cannot be negative`, why: newer},
	{flags: "--restart no:1", ours: `invalid restart policy: maximum retry count can only be used with 'on-failure'`, why: newer},
	{flags: "--rm --restart always"},
	{flags: "--rm --restart on-failure:2"},
	{flags: "-d -a stdin"},
	{flags: "-d --rm --restart always"},
	{flags: "--runtime nosuch", ours: `unknown or invalid runtime name: nosuch`, why: newer},
	{flags: "--platform nosuch/arch", ours: `was found but its platform (linux/amd64) does not match the specified platform (nosuch/arch)`, why: newer},
	{flags: "--platform linux/s390x --pull never", ours: `was found but its platform (linux/amd64) does not match the specified platform (linux/s390x)`, why: newer},
	{flags: "--pull never nosuch/image:1 BUSYBOX"},
	{flags: "--pull sometimes"},
	{flags: "--isolation hyperv", ours: `invalid isolation (hyperv): linux only supports 'default'`, why: newer},
	{flags: "--cidfile ENVFILE"},

	{flags: "--cap-add nosuch"},
	{flags: "--cap-drop nosuch"},
	{flags: "--security-opt nosuch"},
	{flags: "--security-opt nosuch=1"},
	{flags: "--security-opt no-new-privileges=maybe"},
	{flags: "--security-opt seccomp=/no/such"},
	{flags: "--security-opt seccomp=ENVFILE"},
	{flags: "--userns nosuch"},
	{flags: "--userns container:other"},
	{flags: "--cgroupns nosuch"},
	{flags: "--pid nosuch"},
	{flags: "--pid container:"},
	{flags: "--pid container:nobody"},
	{flags: "--pid container:OTHER", ours: `failed to join PID namespace: container `, why: newer},
	{flags: "--ipc nosuch", ours: `invalid IPC mode: nosuch`, why: newer},
	{flags: "--ipc container:nobody"},
	{flags: "--ipc container:OTHER", ours: `failed to join IPC namespace: container `, why: newer},
	{flags: "--uts nosuch"},
	{flags: "--uts host -h box"},
	{flags: "--uts host --domainname box", ours: `conflicting options: domainname and the UTS mode`, why: "docker fails at the start, in runc"},
	{flags: "--device /no/such"},
	{flags: "--device /dev/null:x:y"},
	{flags: "--device /dev/null:/dev/x:q"},
	{flags: "--device-cgroup-rule nonsense"},
	{flags: "--device-cgroup-rule c␣1:3␣q"},
	{flags: "--ulimit nosuch=1"},
	{flags: "--ulimit nofile=10:5"},
	{flags: "--ulimit nofile=x"},
	{flags: "--sysctl nosuch.thing=1"},
	{flags: "--sysctl kernel.hostname=x"},
	{flags: "--sysctl kernel.shmmax"},
	{flags: "--sysctl kernel.msgmax=100 --ipc host"},
	{flags: "--sysctl net.ipv4.ip_forward=1 --network host"},
	{flags: "--shm-size -1"},
	{flags: "--shm-size lots"},
	{flags: "--oom-score-adj 2000"},
	{flags: "--oom-score-adj -1001"},

	{flags: "-m 1m"},
	{flags: "-m 6291455b"},
	{flags: "-m -1"},
	{flags: "-m 64m --memory-swap 32m"},
	{flags: "--memory-swap 64m"},
	{flags: "-m 64m --memory-reservation 128m"},
	{flags: "--memory-reservation 1m"},
	{flags: "--memory-swappiness 101"},
	{flags: "--memory-swappiness -2"},
	{flags: "--cpus 1000"},
	{flags: "--cpus -1"},
	{flags: "--cpus many"},
	{flags: "--cpus 1 --cpu-period 50000"},
	{flags: "--cpus 1 --cpu-quota 50000"},
	{flags: "--cpu-period 10"},
	{flags: "--cpu-period 2000000"},
	{flags: "--cpu-quota 10"},
	{flags: "--cpu-shares -1", ours: `invalid CPU shares (-1): value must be a positive integer`, why: newer},
	{flags: "--cpuset-cpus 1000"},
	{flags: "--cpuset-cpus 0-99"},
	{flags: "--cpuset-cpus x"},
	{flags: "--cpuset-cpus 1-0"},
	{flags: "--cpuset-mems 9"},
	{flags: "--cpuset-mems x"},
	{flags: "--blkio-weight 5", ours: `Range of blkio weight is from 10 to 1000`, why: "docker does not know BFQ's weights"},
	{flags: "--blkio-weight 1001", ours: `Range of blkio weight is from 10 to 1000`, why: "docker does not know BFQ's weights"},
	{flags: "--blkio-weight-device nosuch:100"},
	{flags: "--blkio-weight-device /dev/null:5"},
	{flags: "--device-read-bps /no/such:1m"},
	{flags: "--device-write-bps /dev/null:x"},
	{flags: "--storage-opt size=1g"},
	{flags: "--storage-opt nosuch=1", ours: `--storage-opt is supported only for overlay over xfs with 'pquota' mount option`, why: "no option is served"},

	{flags: "--network nosuch"},
	{flags: "--network container:nobody", ours: `No such container: nobody`, why: "docker fails at the start"},
	{flags: "--network container:OTHER", ours: `cannot join network namespace of a non running container: container other is created`, why: newer},
	{flags: "--network container:OTHER -p 80:80"},
	{flags: "--network container:OTHER -P"},
	{flags: "--network container:OTHER --expose 80"},
	{flags: "--network container:OTHER -h box"},
	{flags: "--network container:OTHER --dns 1.1.1.1"},
	{flags: "--network container:OTHER --add-host a:1.1.1.1"},
	{flags: "--network container:OTHER --link other:x"},
	{flags: "--network container:OTHER --mac-address 02:42:00:00:00:01", ours: `container sharing network namespace with another container or host cannot be connected to any other network`, why: "docker fails at the start"},
	{flags: "--network host --link other:x"},
	{flags: "--network host --ip 1.2.3.4", ours: `no configured subnet or ip-range contain the IP address 1.2.3.4`, why: newer},
	{flags: "--network bridge --ip 1.2.3.4", ours: `user specified IP address is supported on user defined networks only`, why: newer},
	{flags: "--network bridge --network-alias x"},
	{flags: "--network NET --ip 10.1.2.3", ours: `no configured subnet or ip-range contain the IP address 10.1.2.3`, why: newer},
	{flags: "--network NET --ip SUBNET.1", ours: "Address already in use\nhint: the gateway has", why: "with a hint"},
	{flags: "--network NET --network host"},
	{flags: "--network NET --network NET"},
	{flags: "--mac-address nonsense"},
	{flags: "--link nobody:x"},
	{flags: "--link nobody"},
	{flags: "--dns nonsense"},
	{flags: "--dns-search bad_domain..x"},
	{flags: "--add-host nonsense"},
	{flags: "--add-host a:nonsense"},
	{flags: "-p 99999"},
	{flags: "-p x:80"},
	{flags: "-p 1.2.3:80:80"},
	{flags: "-p 80:80/nosuch"},
	{flags: "-p 8000-8001:80-82"},
	{flags: "--expose 70000"},
	{flags: "--expose 20-10"},

	{flags: "-v relative/path:/x"},
	{flags: "-v DIR:relative"},
	{flags: "-v DIR:/"},
	{flags: "-v DIR:/x:nosuch"},
	{flags: "-v DIR:/x:ro,rw"},
	{flags: "-v DIR:/x:ro,ro"},
	{flags: "-v DIR:/x:nocopy"},
	{flags: "-v VOLUME:/x:rshared"},
	{flags: "-v DIR:/x:rslave,rprivate"},
	{flags: "-v DIR:/x:z,Z"},
	{flags: "-v a:b:c:d"},
	{flags: "-v :/x"},
	{flags: "-v /x:"},
	{flags: "-v DIR:/x -v VOLUME:/x"},
	{flags: "-v DIR:/x -v DIR:/x/"},
	{flags: "-v DIR:/x --mount type=tmpfs,dst=/x"},
	{flags: "-v DIR:/x --tmpfs /x"},
	{flags: "--volume-driver nosuch -v VOLUME:/x", ours: `--volume-driver nosuch is not supported`, why: "no drivers but local"},
	{flags: "--volumes-from nobody"},
	{flags: "--volumes-from OTHER:nosuch"},
	{flags: "--volumes-from OTHER:z"},
	{flags: "--tmpfs relative"},
	{flags: "--tmpfs /"},
	{flags: "--tmpfs /x:nosuch", ours: `invalid tmpfs option ["nosuch"]`, why: "docker fails at the start"},
	{flags: "--tmpfs /x:size=lots", ours: `error mounting "tmpfs" to rootfs at "/x"`, why: newer},
	{flags: "--mount type=nosuch,target=/x"},
	{flags: "--mount type=bind,target=/x"},
	{flags: "--mount type=bind,source=/no/such,target=/x"},
	{flags: "--mount type=bind,source=DIR"},
	{flags: "--mount type=bind,source=DIR,target=relative"},
	{flags: "--mount type=bind,source=DIR,target=/x,bind-propagation=nosuch"},
	{flags: "--mount type=bind,source=DIR,target=/x,volume-nocopy"},
	{flags: "--mount type=volume,source=a/b,target=/x"},
	{flags: "--mount type=volume,target=/x,readonly"},
	{flags: "--mount type=volume,source=VOLUME,target=/x,volume-driver=nosuch", ours: `volume driver nosuch is not supported`, why: "no drivers but local"},
	{flags: "--mount type=volume,source=VOLUME,target=/x,tmpfs-size=1"},
	{flags: "--mount type=tmpfs,target=/x,source=DIR"},
	{flags: "--mount type=tmpfs,target=/x,tmpfs-size=lots"},
	{flags: "--mount type=tmpfs,target=/"},
	{flags: "--mount type=npipe,source=a,target=/x"},
	{flags: "--mount type=cluster,source=a,target=/x", ours: `--mount type=cluster is not supported`, why: "no swarm"},
	{flags: "--mount target"},

	{flags: "--log-driver nosuch", ours: `error looking up logging plugin nosuch: plugin "nosuch" not found`, why: "docker looks for it for 15 s"},
	{flags: "--log-driver json-file --log-opt nosuch=1"},
	{flags: "--log-driver json-file --log-opt max-size=lots", ours: `failed to initialize logging driver: invalid size: 'lots'`, why: "docker fails at the start"},
	{flags: "--log-driver json-file --log-opt max-file=0 --log-opt max-size=1m", ours: `failed to initialize logging driver: max-file cannot be less than 1`, why: "docker fails at the start"},
	{flags: "--log-driver json-file --log-opt max-file=2"},
	{flags: "--log-driver none --log-opt max-size=1m"},
	{flags: "--log-driver local --log-opt nosuch=1"},

	{flags: "--health-cmd true --health-interval 1us"},
	{flags: "--health-cmd true --health-timeout 1us"},
	{flags: "--health-interval -1s"},
	{flags: "--health-retries -1"},
	{flags: "--health-cmd true --no-healthcheck"},
	{flags: "--gpus all", ours: `could not select device driver "" with capabilities: [[gpu]]`, why: "with a hint"},
	{flags: "--gpus nonsense"},
	{flags: "--label-file /no/such"},
	{flags: "--env-file /no/such"},
	{flags: "-l =x"},
	{flags: "--annotation =x"},
	{flags: "--cgroup-parent relative/../x"},
	{flags: "--umask 999"},
}
