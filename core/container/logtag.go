package container

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
)

// tagInfo is what docker's templates for --log-opt tag may name.
type tagInfo struct{ r *record }

// ID is the container's short id.
func (t tagInfo) ID() string { return t.r.ID[:12] }

// FullID is the container's id.
func (t tagInfo) FullID() string { return t.r.ID }

// Name is the container's name.
func (t tagInfo) Name() string { return t.r.Name }

// ImageID is the image's short id.
func (t tagInfo) ImageID() string {
	_, hex, _ := strings.Cut(t.r.ImageID, ":")
	return hex[:min(12, len(hex))]
}

// ImageFullID is the image's id.
func (t tagInfo) ImageFullID() string { return t.r.ImageID }

// ImageName is the image as the user named it.
func (t tagInfo) ImageName() string { return t.r.Image }

// Command is what the container runs.
func (t tagInfo) Command() string {
	return strings.Join(slices.Concat(t.r.Config.Entrypoint, t.r.Config.Cmd), " ")
}

// DaemonName is who writes.
func (t tagInfo) DaemonName() string { return "nacre" }

// tagFuncs are those of docker's templates that a tag may need.
var tagFuncs = template.FuncMap{
	"join": strings.Join, "lower": strings.ToLower, "upper": strings.ToUpper, "split": strings.Split,
	"truncate": func(s string, n int) string { return s[:min(len(s), max(n, 0))] },
}

// logTag fills in the tag's template; without one it is the short id.
func logTag(text string, r *record) (string, error) {
	if text == "" {
		return r.ID[:12], nil
	}
	t, err := template.New("log-tag").Funcs(tagFuncs).Parse(text)
	if err != nil {
		return "", err
	}
	var tag strings.Builder
	if err := t.Execute(&tag, tagInfo{r}); err != nil {
		return "", err
	}
	return tag.String(), nil
}

// notInField are the characters that a journal's field name must not have.
var notInField = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^A-Z0-9_]`) })

// journalFields are docker's fields of an entry in the journal.
func journalFields(attrs map[string]string, tag string, r *record) map[string]string {
	fields := map[string]string{
		"CONTAINER_ID": r.ID[:12], "CONTAINER_ID_FULL": r.ID, "CONTAINER_NAME": r.Name, "CONTAINER_TAG": tag,
		"IMAGE_NAME": r.Image, "SYSLOG_IDENTIFIER": tag,
	}
	for name, value := range attrs {
		name = strings.TrimLeft(notInField().ReplaceAllString(strings.ToUpper(name), "_"), "_")
		if name != "" {
			fields[name] = value
		}
	}
	return fields
}
