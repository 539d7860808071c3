package network

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
)

func TestConfigOnlyNetworks(t *testing.T) {
	h := newTestHost(t)
	h.create(t, "plan", func(r *network.CreateRequest) {
		r.ConfigOnly, r.Labels, r.IPAM = true, map[string]string{"a": "b"}, subnetOf("10.60.0.0/24", "fd00:60::/64")
		r.Options = map[string]string{optionMTU: "1400"}
	})
	from := &network.ConfigReference{Network: "plan"}
	id := h.create(t, "real", func(r *network.CreateRequest) { r.ConfigFrom, r.Internal = from, true })
	n, err := h.NetworkInspect(t.Context(), id)
	if err != nil || n.Driver != driverBridge || !n.Internal || n.Labels["a"] != "b" || n.Options[optionMTU] != "1400" || n.ConfigFrom.Network != "plan" ||
		len(n.IPAM.Config) != 2 || n.IPAM.Config[0].Subnet.String() != "10.60.0.0/24" || n.IPAM.Config[1].Subnet.String() != "fd00:60::/64" {
		t.Errorf("made of the plan: %+v (%v)", n, err)
	}
	if c := h.run(t, "c", []string{"real"}, nil); c.address.String() != "10.60.0.2" {
		t.Errorf("address %s", c.address)
	} else {
		c.kill(t, h)
	}
	if plan, err := h.NetworkInspect(t.Context(), "plan"); err != nil || !plan.ConfigOnly || plan.Driver != driverNull {
		t.Errorf("the plan: %+v (%v)", plan, err)
	}

	if _, err := h.tryRun(t, "d", []string{"plan"}, nil); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "configuration-only network") {
		t.Errorf("joining the plan: %v", err)
	}
	for _, bad := range []struct {
		req  network.CreateRequest
		is   func(error) bool
		says string
	}{
		{network.CreateRequest{Name: "x", ConfigOnly: true, ConfigFrom: from}, errdefs.IsPermissionDenied, "cannot depend on another"},
		{network.CreateRequest{Name: "x", ConfigOnly: true, Internal: true}, errdefs.IsPermissionDenied, "can only contain network specific fields"},
		{network.CreateRequest{Name: "x", ConfigFrom: from, Options: map[string]string{optionMTU: "1400"}}, errdefs.IsPermissionDenied, "driver options are not supported"},
		{network.CreateRequest{Name: "x", ConfigFrom: from, IPAM: subnetOf("10.61.0.0/24")}, errdefs.IsPermissionDenied, "user specified configurations are not supported"},
		{network.CreateRequest{Name: "x", ConfigFrom: &network.ConfigReference{Network: "real"}}, errdefs.IsNotFound, `configuration network "real" does not exist`},
		{network.CreateRequest{Name: "x", ConfigFrom: from}, errdefs.IsPermissionDenied, "Pool overlaps"},
	} {
		if _, err := h.NetworkCreate(t.Context(), bad.req); !bad.is(err) || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%+v: %v, want %q", bad.req, err, bad.says)
		}
	}
	if err := h.NetworkRemove(t.Context(), "plan"); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("removal of a plan in use: %v", err)
	}
	deleted, err := h.NetworkPrune(t.Context(), nil)
	if err != nil || len(deleted) != 1 || deleted[0] != "real" {
		t.Errorf("pruned %v (%v), want real only", deleted, err)
	}
	check(t, h.NetworkRemove(t.Context(), "plan"))
}
