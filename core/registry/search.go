package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/filter"
)

// Where Docker Hub answers searches. Its registry does not.
const (
	hubIndex = "https://index.docker.io"
	hubSite  = "https://hub.docker.com"
)

// Docker's bounds of a search.
const (
	defaultResults = 25
	maxResults     = 100
)

// maxAnswer bounds what is read of a search's answer, in bytes; maxRepositories
// how much of a catalog is looked through.
const (
	maxAnswer       = 8 << 20
	maxRepositories = 100_000
)

// Search looks for repositories whose name or description matches a term, as
// docker search: TERM on Docker Hub, HOST/TERM on another registry. Mirrors are
// asked before the registry itself. Errors are errdefs.ErrInvalidArgument
// (limit, filters), ErrNotImplemented (a registry that cannot be searched) and
// those of every registry.
func (s *Service) Search(ctx context.Context, term string, limit int, filters filter.Args, auth *registry.AuthConfig) ([]registry.SearchResult, error) {
	keep, err := searchFilter(filters)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = defaultResults
	}
	if limit < 1 || limit > maxResults {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("limit %d is outside the range of [1, %d]", limit, maxResults))
	}
	host, words, err := splitTerm(term)
	if err != nil {
		return nil, err
	}
	q := &query{Service: s, host: host, words: words, limit: limit, keep: keep}
	found, err := q.run(ctx, auth)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(r registry.SearchResult) bool { return !keep(r) })
	return found[:min(limit, len(found))], nil
}

// splitTerm separates the registry from what is looked for, by docker's rule.
func splitTerm(term string) (host, words string, err error) {
	if strings.Contains(term, "://") {
		return "", "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid repository name: repository name (%s) should not have a scheme", term))
	}
	first, rest, found := strings.Cut(term, "/")
	if !found || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return access.Hub, strings.TrimPrefix(term, "library/"), nil
	}
	if host, err = hostOf(first); err != nil {
		return "", "", err
	}
	if host == access.Hub {
		rest = strings.TrimPrefix(rest, "library/")
	}
	return host, rest, nil
}

// searchFilter makes docker's three filters one.
func searchFilter(filters filter.Args) (func(registry.SearchResult) bool, error) {
	if err := filters.Validate("is-official", "is-automated", "stars"); err != nil {
		return nil, err
	}
	official, err := oneBool(filters, "is-official")
	if err != nil {
		return nil, err
	}
	automated, err := oneBool(filters, "is-automated")
	if err != nil {
		return nil, err
	}
	stars := 0
	for _, v := range filters["stars"] {
		n, err := strconv.Atoi(v)
		if err != nil {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid filter 'stars=%s'", v))
		}
		stars = max(stars, n)
	}
	return func(r registry.SearchResult) bool {
		return r.StarCount >= stars && (official == nil || *official == r.IsOfficial) &&
			(automated == nil || !*automated) // nothing is automated any more, as docker has it
	}, nil
}

func oneBool(filters filter.Args, key string) (*bool, error) {
	values := filters[key]
	if len(values) == 0 {
		return nil, nil
	}
	v, err := strconv.ParseBool(values[0])
	if err != nil || len(values) > 1 {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid filter '%s=%s'", key, strings.Join(values, ",")))
	}
	return &v, nil
}

// query is one search of one registry.
type query struct {
	*Service
	host, words string
	limit       int
	keep        func(registry.SearchResult) bool
}

// run asks the mirrors, then the registry. The first that can be searched counts.
func (q *query) run(ctx context.Context, auth *registry.AuthConfig) ([]registry.SearchResult, error) {
	var mirrors []string
	if q.Mirrors != nil {
		var err error
		if mirrors, err = q.Mirrors(ctx, q.host); err != nil {
			return nil, err
		}
	}
	for _, base := range mirrors {
		u, err := url.Parse(base)
		if err != nil || u.Path != "" { // a catalog below a path is another registry's
			continue
		}
		if found, err := q.ask(ctx, u.Host, nil, u.Scheme+"://"+u.Host); err == nil {
			return found, nil
		} else if ctx.Err() != nil {
			return nil, err
		}
	}
	bases := []string{}
	if q.host == access.Hub {
		bases = append(bases, hubIndex, hubSite)
		auth = nil // both are open to everybody, and neither is the registry that the login was for
	}
	return q.ask(ctx, q.host, auth, bases...)
}

// ask searches at one place: by the search of docker's first registry, by
// Docker Hub's newer one, by a registry's catalog.
func (q *query) ask(ctx context.Context, host string, auth *registry.AuthConfig, bases ...string) ([]registry.SearchResult, error) {
	doing := "search " + host
	ctx, cancel := q.patience(ctx, host)
	defer cancel()
	s, err := q.open(ctx, host, auth)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if len(bases) == 0 {
		bases = bothSchemes(s.way)
	}
	var first error
	for _, base := range bases {
		for _, form := range []searchForm{indexSearch, siteSearch} {
			found, err := q.askForm(ctx, s, base, form, auth)
			if err == nil {
				return found, nil
			}
			if first = cmp.Or(first, err); ctx.Err() != nil {
				return nil, explain(ctx, doing, host, err)
			}
		}
	}
	if host == access.Hub {
		return nil, explain(ctx, doing, host, first)
	}
	found, err := q.catalog(ctx, s, host)
	switch {
	case err == nil:
		return found, nil
	case isStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented), errors.Is(err, errNoCatalog):
		return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("%s cannot be searched: it has neither a search nor a catalog", host))
	}
	return nil, explain(ctx, doing, host, err)
}

func bothSchemes(way access.Way) []string {
	var bases []string
	for _, scheme := range schemes(way) {
		bases = append(bases, scheme+"://"+way.Host)
	}
	return bases
}

// searchForm is one way to ask and to understand the answer.
type searchForm struct {
	path   func(words string, limit int) string
	answer func([]byte) ([]registry.SearchResult, error)
}

// indexSearch is what docker itself asks, the search of version 1 registries.
var indexSearch = searchForm{
	path: func(words string, limit int) string {
		return "/v1/search?" + url.Values{"q": {words}, "n": {strconv.Itoa(limit)}}.Encode()
	},
	answer: func(text []byte) ([]registry.SearchResult, error) {
		var answer struct {
			Results *[]registry.SearchResult `json:"results"`
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return nil, err
		}
		if answer.Results == nil {
			return nil, errors.New("no answer to a search")
		}
		return *answer.Results, nil
	},
}

// siteSearch is what Docker Hub's pages ask, version 2.
var siteSearch = searchForm{
	path: func(words string, limit int) string {
		return "/v2/search/repositories/?" + url.Values{"query": {words}, "page_size": {strconv.Itoa(limit)}}.Encode()
	},
	answer: func(text []byte) ([]registry.SearchResult, error) {
		var answer struct {
			Results *[]struct {
				Name        string `json:"repo_name"`
				Description string `json:"short_description"`
				Stars       int    `json:"star_count"`
				Official    bool   `json:"is_official"`
			} `json:"results"`
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return nil, err
		}
		if answer.Results == nil {
			return nil, errors.New("no answer to a search")
		}
		found := []registry.SearchResult{}
		for _, r := range *answer.Results {
			found = append(found, registry.SearchResult{Name: r.Name, Description: r.Description, StarCount: r.Stars, IsOfficial: r.Official})
		}
		return found, nil
	},
}

func (q *query) askForm(ctx context.Context, s *session, base string, form searchForm, auth *registry.AuthConfig) ([]registry.SearchResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+form.path(q.words, q.limit), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", q.Ways.Agent)
	if auth != nil && auth.Username != "" && auth.Password != "" && req.URL.Scheme == "https" {
		req.SetBasicAuth(auth.Username, auth.Password)
	}
	resp, err := (&http.Client{Transport: s.transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	found, err := form.answer(text)
	for i := range found {
		//lint:ignore SA1019 docker sets it so, too
		found[i].IsAutomated = false
	}
	return found, err
}

// catalog looks through the names that a registry lists. They come with the
// registry's own name, ready to be pulled; those of a mirror of Docker Hub as
// Docker Hub has them.
func (q *query) catalog(ctx context.Context, s *session, host string) ([]registry.SearchResult, error) {
	var exact, rest []registry.SearchResult
	err := eachRepository(ctx, s, host, func(repo string) bool {
		r := registry.SearchResult{Name: host + "/" + repo}
		if q.host == access.Hub {
			r.Name, r.IsOfficial = strings.CutPrefix(repo, "library/")
		}
		switch {
		case !strings.Contains(repo, strings.ToLower(q.words)) || !q.keep(r):
		case repo == q.words || r.IsOfficial && r.Name == q.words:
			exact = append(exact, r)
		default:
			rest = append(rest, r)
		}
		return len(exact)+len(rest) < q.limit
	})
	return append(append([]registry.SearchResult{}, exact...), rest...), err
}

// eachRepository walks through a registry's catalog until f returns false.
func eachRepository(ctx context.Context, s *session, host string, f func(repo string) bool) error {
	reg, err := name.NewRegistry(host, s.nameOptions()...)
	if err != nil {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid registry address %q", host))
	}
	puller, err := remote.NewPuller(append(s.options, remote.WithPageSize(1000))...)
	if err != nil {
		return err
	}
	pages, err := puller.Catalogger(ctx, reg)
	if err != nil {
		return err
	}
	seen, last := 0, ""
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return err
		}
		if page.Repos == nil && seen == 0 {
			return errNoCatalog
		}
		for _, repo := range page.Repos {
			if seen++; seen > maxRepositories || !f(repo) {
				return nil
			}
		}
		if n := len(page.Repos); n > 0 {
			if page.Repos[n-1] == last { // a registry that gives the same page for ever
				return nil
			}
			last = page.Repos[n-1]
		}
	}
	return nil
}
