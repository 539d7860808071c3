package container

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
	"tags.cncf.io/container-device-interface/pkg/cdi"

	"github.com/nacre-sh/nacre/core/config"
)

// gpuVendors are looked for, in this order, behind --gpus.
var gpuVendors = []string{"nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu"}

const driverCDI = "cdi" // what docker's client names for --device vendor/class=name

// checkDeviceRequests refuses what no start could serve.
func checkDeviceRequests(requests []container.DeviceRequest) error {
	for _, r := range requests {
		if r.Driver != driverCDI && !isGPU(r) {
			return noDriver(r)
		}
		if r.Driver == driverCDI && len(r.Options) > 0 {
			return invalid("CDI devices take no options: %v", r.Options)
		}
	}
	return nil
}

func isGPU(r container.DeviceRequest) bool {
	return slices.ContainsFunc(r.Capabilities, func(set []string) bool { return slices.Contains(set, "gpu") })
}

// noDriver is docker's answer where nothing knows the devices that are asked for.
func noDriver(r container.DeviceRequest) error {
	return invalid("could not select device driver %q with capabilities: %v\nhint: devices come from CDI specifications in /etc/cdi and /var/run/cdi; "+
		"for GPUs of nvidia, `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` writes one", r.Driver, r.Capabilities)
}

// injectDevices adds to a specification the devices that CDI describes
// (https://tags.cncf.io/container-device-interface): nodes, mounts, variables, hooks.
func injectDevices(s *specs.Spec, requests []container.DeviceRequest, conf config.Config) error {
	if len(requests) == 0 {
		return nil
	}
	options := []cdi.Option{cdi.WithAutoRefresh(false)}
	if conf.CDISpecDirs != nil {
		options = append(options, cdi.WithSpecDirs(conf.CDISpecDirs...))
	}
	cache, err := cdi.NewCache(options...)
	if err != nil {
		return fmt.Errorf("read the CDI specifications: %w", err)
	}
	var names []string
	for _, r := range requests {
		if r.Driver == driverCDI {
			names = append(names, r.DeviceIDs...)
			continue
		}
		gpus, err := gpuNames(r, cache.ListDevices())
		if err != nil {
			return err
		}
		names = append(names, gpus...)
	}
	if _, err := cache.InjectDevices(s, names...); err != nil {
		return fmt.Errorf("CDI device injection failed: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	return nil
}

// gpuNames gives the CDI devices behind a request for GPUs: those it names, as
// many as it counts, or all.
func gpuNames(r container.DeviceRequest, known []string) ([]string, error) {
	at := slices.IndexFunc(gpuVendors, func(kind string) bool {
		return slices.ContainsFunc(known, func(device string) bool { return strings.HasPrefix(device, kind+"=") })
	})
	if at < 0 {
		return nil, noDriver(r)
	}
	wanted := slices.Clone(r.DeviceIDs)
	for n := range r.Count {
		wanted = append(wanted, strconv.Itoa(n))
	}
	if r.Count < 0 {
		wanted = []string{"all"}
	}
	for i, id := range wanted {
		wanted[i] = gpuVendors[at] + "=" + id
	}
	return wanted, nil
}
