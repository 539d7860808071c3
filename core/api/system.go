package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/events"
)

// builderVersion tells clients to send their build context to this engine;
// "2" would ask them to speak BuildKit's protocol.
const builderVersion = "1"

func (s *server) systemRoutes() []route {
	routes := []route{
		{"GET /_ping", s.ping},
		{"HEAD /_ping", s.ping},
	}
	routes = append(routes, when(s.System != nil, "describing the engine", []route{
		{"GET /version", s.getVersion},
		{"GET /info", s.getInfo},
		{"GET /nacre/doctor", s.getDoctor},
	})...)
	routes = append(routes, when(s.Events != nil, "the event log", []route{{"GET /events", s.getEvents}})...)
	return append(routes, route{"GET /system/df", s.getDiskUsage})
}

// getDoctor is nacre's own.
func (s *server) getDoctor(w http.ResponseWriter, r *request) error {
	checks, err := s.System.Doctor(r.Context())
	return replyList(w, checks, err)
}

func (s *server) ping(w http.ResponseWriter, r *request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Builder-Version", builderVersion)
	h.Set("Swarm", "inactive")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead {
		h.Set("Content-Length", "0")
		return nil
	}
	_, _ = io.WriteString(w, "OK")
	return nil
}

func (s *server) getVersion(w http.ResponseWriter, r *request) error {
	v, err := s.System.Version(r.Context())
	v.APIVersion, v.MinAPIVersion = MaxVersion, MinVersion
	for _, c := range v.Components {
		if c.Name == "Engine" && c.Details != nil { // where docker's client looks for them
			c.Details["ApiVersion"], c.Details["MinAPIVersion"] = MaxVersion, MinVersion
		}
	}
	return reply(w, v, err)
}

func (s *server) getInfo(w http.ResponseWriter, r *request) error {
	info, err := s.System.Info(r.Context())
	return reply(w, info, err)
}

func (s *server) getEvents(w http.ResponseWriter, r *request) error {
	since, err := r.timestamp("since")
	if err != nil {
		return err
	}
	until, err := r.timestamp("until")
	if err != nil {
		return err
	}
	if !since.IsZero() && !until.IsZero() && until.Before(since) {
		return invalid("`since` time (%s) cannot be after `until` time (%s)", r.query.Get("since"), r.query.Get("until"))
	}
	match, err := r.filters()
	if err != nil {
		return err
	}
	onlyPast := !until.IsZero() && until.Before(time.Now())
	if since.IsZero() && !onlyPast {
		since = time.Now() // nothing is lost between the headers and the start of the subscription
	}
	write := s.eventWriter(w, r)
	if err := begin(w, w.Header().Get("Content-Type")); err != nil {
		return nil
	}
	_ = s.Events.Subscribe(r.Context(), since, until, match, write) // it ends with the client, too late to answer
	return nil
}

// eventWriter sets the content type of the stream, by what the client accepts
// since API 1.52, and returns what writes one event. Before 1.52 events also
// have the fields of API 1.21.
func (s *server) eventWriter(w http.ResponseWriter, r *request) func(events.Message) error {
	out := flush(w)
	contentType, prefix := types.MediaTypeJSON, ""
	if !r.before("1.52") {
		contentType, prefix = streamType(strings.Join(r.Header.Values("Accept"), ","))
	}
	w.Header().Set("Content-Type", contentType)
	return func(m events.Message) error {
		line, err := json.Marshal(m)
		if r.before("1.52") {
			line, err = json.Marshal(legacyEvent(m))
		}
		if err != nil {
			return err
		}
		_, err = out.Write(append(append([]byte(prefix), line...), '\n'))
		return err
	}
}

// streamType picks the first accepted notation of a JSON stream, and what
// stands before each document in it (RFC 7464's record separator).
func streamType(accept string) (contentType, prefix string) {
	for _, entry := range strings.Split(accept, ",") {
		media, _, _ := strings.Cut(entry, ";")
		switch media = strings.TrimSpace(media); media {
		case types.MediaTypeJSONSequence:
			return media, "\x1e"
		case types.MediaTypeJSONLines, types.MediaTypeNDJSON, types.MediaTypeJSON:
			return media, ""
		}
	}
	return types.MediaTypeJSON, ""
}
