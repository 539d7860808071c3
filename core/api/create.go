package api

import (
	"net/http"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
)

// createBefore152 has the container-wide MAC address, which belongs to a
// network's endpoint since API 1.44 and can only be given there since 1.52.
type createBefore152 struct {
	container.CreateRequest
	MacAddress network.HardwareAddr
}

// createRequest reads and completes the body of a create: it is what the
// newest API version would have sent.
func (r *request) createRequest(w http.ResponseWriter) (container.CreateRequest, error) {
	var req createBefore152
	if err := r.decode(w, &req); err != nil {
		return req.CreateRequest, err
	}
	if req.Config == nil {
		return req.CreateRequest, invalid("config cannot be empty in order to create a container")
	}
	if req.HostConfig == nil {
		req.HostConfig = &container.HostConfig{}
	}
	r.olderHostConfig(req.HostConfig)
	if r.before("1.52") && len(req.MacAddress) > 0 {
		req.moveMacAddress()
	}
	return req.CreateRequest, nil
}

// olderHostConfig applies what older API versions meant by leaving a field out.
func (r *request) olderHostConfig(hc *container.HostConfig) {
	if hc.PidsLimit != nil && *hc.PidsLimit <= 0 {
		hc.PidsLimit = nil
	}
	if r.before("1.25") {
		hc.AutoRemove = false // removing was the client's job
	}
	if r.before("1.40") && hc.IpcMode.IsEmpty() {
		hc.IpcMode = container.IPCModeShareable
	}
	if r.before("1.42") {
		for i := range hc.Mounts {
			if hc.Mounts[i].BindOptions != nil {
				hc.Mounts[i].BindOptions.CreateMountpoint = false
			}
		}
	}
	if r.before("1.44") { // read-only binds were not recursive
		for i := range hc.Mounts {
			m := &hc.Mounts[i]
			if m.Type != mount.TypeBind || !m.ReadOnly {
				continue
			}
			if m.BindOptions == nil {
				m.BindOptions = &mount.BindOptions{}
			}
			m.BindOptions.ReadOnlyNonRecursive = true
		}
	}
}

// moveMacAddress puts the address on the endpoint of the container's network.
func (req *createBefore152) moveMacAddress() {
	mode := req.HostConfig.NetworkMode
	name := mode.NetworkName()
	if name == "" || mode.IsDefault() {
		name = network.NetworkBridge
	}
	if !mode.IsDefault() && !mode.IsBridge() && !mode.IsUserDefined() {
		return // no endpoint of its own
	}
	if req.NetworkingConfig == nil {
		req.NetworkingConfig = &network.NetworkingConfig{}
	}
	if req.NetworkingConfig.EndpointsConfig == nil {
		req.NetworkingConfig.EndpointsConfig = map[string]*network.EndpointSettings{}
	}
	endpoint := req.NetworkingConfig.EndpointsConfig[name]
	if endpoint == nil {
		endpoint = &network.EndpointSettings{}
		req.NetworkingConfig.EndpointsConfig[name] = endpoint
	}
	if len(endpoint.MacAddress) == 0 {
		endpoint.MacAddress = req.MacAddress
	}
}
