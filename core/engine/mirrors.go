package engine

import (
	"context"

	"github.com/nacre-sh/nacre/core/mirror"
)

// mirrorsInUse lists, per registry, the URLs that a pull tries before the
// registry itself, the chosen one first.
func mirrorsInUse(m *mirror.Mirrors) func(context.Context) (map[string][]string, error) {
	return func(ctx context.Context) (map[string][]string, error) {
		all, err := m.Mirrors(ctx)
		if err != nil {
			return nil, err
		}
		urls := map[string][]string{}
		for _, source := range all {
			switch {
			case !source.Enabled:
			case source.InUse:
				urls[source.Registry] = append([]string{source.URL}, urls[source.Registry]...)
			default:
				urls[source.Registry] = append(urls[source.Registry], source.URL)
			}
		}
		return urls, nil
	}
}
