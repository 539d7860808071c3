package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// legacyUsage is the answer of GET /system/df before API 1.52: lists, from
// which the client draws the sums.
type legacyUsage struct {
	system.DiskUsage
	LayersSize int64
	Images     []image.Summary
	Containers []container.Summary
	Volumes    []volume.Volume
	BuildCache []build.CacheRecord
}

// usageBefore144 has images with the size under its old name too.
type usageBefore144 struct {
	legacyUsage
	Images []imageBefore144
}

// getDiskUsage answers `docker system df` from the lists of the other routes.
func (s *server) getDiskUsage(w http.ResponseWriter, r *request) error {
	if s.Images == nil || s.Containers == nil {
		return notServed("adding up disk usage")
	}
	wanted, err := r.usageTypes()
	if err != nil {
		return err
	}
	u, err := s.usage(r.Context(), wanted)
	if err != nil {
		return err
	}
	verbose := r.flag("verbose")
	switch {
	case r.before("1.44"):
		return writeJSON(w, http.StatusOK, usageBefore144{u, legacyImages(u.Images, r.version)})
	case r.before("1.52"):
		return writeJSON(w, http.StatusOK, u)
	case r.before("1.53") && !verbose: // both, for clients in transition
		u.DiskUsage = u.sums(wanted, false)
		return writeJSON(w, http.StatusOK, u)
	}
	return writeJSON(w, http.StatusOK, u.sums(wanted, verbose))
}

// usageTypes is what the client wants to know about; all when it does not say.
func (r *request) usageTypes() (map[system.DiskUsageObject]bool, error) {
	known := []system.DiskUsageObject{system.ImageObject, system.ContainerObject, system.VolumeObject, system.BuildCacheObject}
	wanted := map[system.DiskUsageObject]bool{}
	for _, t := range r.query["type"] {
		if !slices.Contains(known, system.DiskUsageObject(t)) {
			return nil, invalid("unknown object type: %s", t)
		}
		wanted[system.DiskUsageObject(t)] = true
	}
	if len(wanted) == 0 {
		for _, t := range known {
			wanted[t] = true
		}
	}
	return wanted, nil
}

func (s *server) usage(ctx context.Context, wanted map[system.DiskUsageObject]bool) (u legacyUsage, err error) {
	u.Images, u.Volumes, u.BuildCache = []image.Summary{}, []volume.Volume{}, []build.CacheRecord{}
	if wanted[system.ImageObject] || wanted[system.ContainerObject] {
		u.Containers, err = s.Containers.List(ctx, backend.ContainerList{All: true, Size: wanted[system.ContainerObject], Filters: filter.Args{}})
		if err != nil {
			return u, err
		}
	}
	if wanted[system.ImageObject] {
		if u.LayersSize, err = s.Images.LayersSize(ctx); err != nil {
			return u, err
		}
		if u.Images, err = s.Images.List(ctx, backend.ImageList{SharedSize: true, Filters: filter.Args{}}); err != nil {
			return u, err
		}
		countUsers(u.Images, u.Containers)
	}
	if wanted[system.VolumeObject] && s.Volumes != nil {
		if u.Volumes, err = s.Volumes.VolumeUsage(ctx); err != nil {
			return u, err
		}
	}
	if !wanted[system.ContainerObject] {
		u.Containers = nil
	}
	u.Images, u.Containers, u.Volumes = orEmpty(u.Images), orEmpty(u.Containers), orEmpty(u.Volumes)
	return u, nil
}

func countUsers(images []image.Summary, containers []container.Summary) {
	users := map[string]int64{}
	for _, c := range containers {
		users[c.ImageID]++
	}
	for i := range images {
		images[i].Containers = users[images[i].ID]
	}
}

// sums is the answer since API 1.52.
func (u legacyUsage) sums(wanted map[system.DiskUsageObject]bool, verbose bool) system.DiskUsage {
	var d system.DiskUsage
	if wanted[system.ImageObject] {
		d.ImageUsage = u.images(verbose)
	}
	if wanted[system.ContainerObject] {
		d.ContainerUsage = u.containers(verbose)
	}
	if wanted[system.VolumeObject] {
		d.VolumeUsage = u.volumes(verbose)
	}
	if wanted[system.BuildCacheObject] {
		d.BuildCacheUsage = &build.DiskUsage{}
	}
	return d
}

// images counts as reclaimable what no container's image has to itself, as
// docker does.
func (u legacyUsage) images(verbose bool) *image.DiskUsage {
	d := &image.DiskUsage{TotalCount: int64(len(u.Images)), TotalSize: u.LayersSize, Reclaimable: u.LayersSize}
	for _, img := range u.Images {
		if img.Containers > 0 {
			d.ActiveCount++
			d.Reclaimable -= img.Size - max(img.SharedSize, 0)
		}
	}
	if verbose {
		d.Items = u.Images
	}
	return d
}

func (u legacyUsage) containers(verbose bool) *container.DiskUsage {
	d := &container.DiskUsage{TotalCount: int64(len(u.Containers))}
	for _, c := range u.Containers {
		d.TotalSize += c.SizeRw
		switch c.State {
		case container.StateRunning, container.StatePaused, container.StateRestarting:
			d.ActiveCount++
		default:
			d.Reclaimable += c.SizeRw
		}
	}
	if verbose {
		d.Items = u.Containers
	}
	return d
}

func (u legacyUsage) volumes(verbose bool) *volume.DiskUsage {
	d := &volume.DiskUsage{TotalCount: int64(len(u.Volumes))}
	for _, v := range u.Volumes {
		if v.UsageData == nil {
			continue
		}
		size := max(v.UsageData.Size, 0)
		d.TotalSize += size
		if v.UsageData.RefCount > 0 {
			d.ActiveCount++
		} else {
			d.Reclaimable += size
		}
	}
	if verbose {
		d.Items = u.Volumes
	}
	return d
}
