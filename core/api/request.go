package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/filter"
)

// maxBody bounds a JSON body; the largest real ones are create requests with
// long environments.
const maxBody = 8 << 20

// decode reads the request's JSON body into v, with docker's rules: the
// content type must be JSON, an absent body leaves v as it is, and nothing may
// follow the document.
func (r *request) decode(w http.ResponseWriter, v any) error {
	contentType := r.Header.Get("Content-Type")
	empty := r.Body == nil || r.ContentLength == 0
	if contentType == "" && empty {
		return nil
	}
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
		return invalid("unsupported Content-Type header (%s): must be 'application/json'", contentType)
	}
	if empty {
		return nil
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	switch err := dec.Decode(v); {
	case errors.Is(err, io.EOF):
		return invalid("invalid JSON: got EOF while reading request body")
	case err != nil:
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return invalid("invalid JSON: %s", err)
	case dec.More():
		return invalid("unexpected content after JSON")
	}
	return nil
}

// flag reads a boolean parameter as docker does: anything but empty, 0, no,
// false and none is true.
func (r *request) flag(key string) bool {
	switch strings.ToLower(strings.TrimSpace(r.query.Get(key))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// number reads an integer parameter; absent is def.
func (r *request) number(key string, def int) (int, error) {
	raw := r.query.Get(key)
	if raw == "" {
		return def, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil {
		return 0, invalid("invalid value %q for %s: it must be a whole number", raw, key)
	}
	return n, nil
}

// optionalNumber is number for parameters whose absence means something.
func (r *request) optionalNumber(key string) (*int, error) {
	if r.query.Get(key) == "" {
		return nil, nil
	}
	n, err := r.number(key, 0)
	return &n, err
}

// size reads the height and width of a terminal.
func (r *request) size() (rows, columns uint, err error) {
	values := [2]uint64{}
	for i, p := range []struct{ key, what string }{{"h", "height"}, {"w", "width"}} {
		if values[i], err = strconv.ParseUint(r.query.Get(p.key), 10, 16); err != nil {
			return 0, 0, invalid("invalid resize %s %q: it must be a number from 0 to 65535", p.what, r.query.Get(p.key))
		}
	}
	return uint(values[0]), uint(values[1]), nil
}

func (r *request) filters() (filter.Args, error) { return filter.Parse(r.query.Get("filters")) }

// platforms reads every value of a parameter that holds JSON platforms, or
// docker's short notation (linux/arm64) where the API has that.
func (r *request) platforms(key string) ([]ocispec.Platform, error) {
	var all []ocispec.Platform
	for _, raw := range r.query[key] {
		if raw == "" {
			continue
		}
		p, err := parsePlatform(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// platform is platforms for a parameter that is given at most once.
func (r *request) platform(key string) (*ocispec.Platform, error) {
	all, err := r.platforms(key)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	if len(all) > 1 {
		return nil, invalid("multiple platforms are not supported here")
	}
	return &all[0], nil
}

// timestamp reads seconds since the epoch with an optional fraction, as
// docker's clients send times; absent and 0 are the zero time.
func (r *request) timestamp(key string) (time.Time, error) {
	raw := r.query.Get(key)
	if raw == "" || raw == "0" {
		return time.Time{}, nil
	}
	whole, fraction, _ := strings.Cut(raw, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, invalid("invalid value %q for %s: it must be seconds since the epoch", raw, key)
	}
	var nanos int64
	if fraction != "" {
		if nanos, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64); err != nil || nanos < 0 {
			return time.Time{}, invalid("invalid value %q for %s: it must be seconds since the epoch", raw, key)
		}
	}
	return time.Unix(seconds, nanos), nil
}
