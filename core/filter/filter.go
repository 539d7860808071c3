// Package filter reads docker's list filters (`--filter key=value`) as they
// arrive in an API request and matches objects against them. A key is
// satisfied when any of its values matches; an object when all keys are.
package filter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
)

// Args holds the values asked for, per key.
type Args map[string][]string

// Parse reads the `filters` query parameter: {"key":{"value":true}}, or the
// form of API versions before 1.22, {"key":["value"]}. Errors are
// errdefs.ErrInvalidArgument.
func Parse(raw string) (Args, error) {
	if raw == "" {
		return Args{}, nil
	}
	args := Args{}
	var sets map[string]map[string]bool
	if err := json.Unmarshal([]byte(raw), &sets); err == nil {
		for key, set := range sets {
			for value, on := range set {
				if on {
					args[key] = append(args[key], value)
				}
			}
			slices.Sort(args[key])
		}
		return args, nil
	}
	if err := json.Unmarshal([]byte(raw), &args); err != nil {
		return nil, fmt.Errorf("invalid filters %q: %w: %w", raw, err, errdefs.ErrInvalidArgument)
	}
	return args, nil
}

// Validate fails with errdefs.ErrInvalidArgument, in docker's words, on a key that is not accepted.
func (a Args) Validate(accepted ...string) error {
	for key := range a {
		if !slices.Contains(accepted, key) {
			return fmt.Errorf("invalid filter '%s': %w", key, errdefs.ErrInvalidArgument)
		}
	}
	return nil
}

// Has says whether the key was given at all.
func (a Args) Has(key string) bool { return len(a[key]) > 0 }

// Any is true when the key was not given, or when match is true for one of its values.
func (a Args) Any(key string, match func(value string) bool) bool {
	return !a.Has(key) || slices.ContainsFunc(a[key], match)
}

// Exact is Any with equality.
func (a Args) Exact(key, value string) bool {
	return a.Any(key, func(v string) bool { return v == value })
}

// Bool reads a key that holds true/false/1/0; absent gives def.
func (a Args) Bool(key string, def bool) (bool, error) {
	if !a.Has(key) {
		return def, nil
	}
	switch a[key][0] {
	case "1", "true", "True", "TRUE":
		return true, nil
	case "0", "false", "False", "FALSE":
		return false, nil
	}
	return false, fmt.Errorf("invalid filter '%s=%s': expected true or false: %w", key, a[key][0], errdefs.ErrInvalidArgument)
}

// Labels is true when every `label=key` or `label=key=value` asked for is in
// labels, and no `label!=…` is.
func (a Args) Labels(labels map[string]string) bool {
	has := func(want string) bool {
		key, value, exact := strings.Cut(want, "=")
		got, ok := labels[key]
		return ok && (!exact || got == value)
	}
	for _, want := range a["label"] {
		if !has(want) {
			return false
		}
	}
	return !slices.ContainsFunc(a["label!"], has)
}

// Until reads prune's until: a moment, or a length of time before now. Absent
// is the zero time.
func (a Args) Until(now time.Time) (time.Time, error) {
	values := a["until"]
	switch len(values) {
	case 0:
		return time.Time{}, nil
	case 1:
	default:
		return time.Time{}, errdefs.ErrInvalidArgument.WithMessage("more than one until filter specified")
	}
	v := values[0]
	if d, err := time.ParseDuration(v); err == nil {
		return now.Add(-d), nil
	}
	if seconds, err := strconv.ParseFloat(v, 64); err == nil {
		return time.UnixMicro(int64(seconds * 1e6)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, v, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("failed to parse value as time or duration: %q", v))
}
