// Package leak proves that the suites before it left nothing on the machine:
// no process, mount, bridge, packet rule, named namespace or cgroup of nacre.
// It runs last and alone, which is why it hides behind a build tag.
package leak
