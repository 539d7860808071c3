package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/access"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/tests/registry"
)

const indexAnswer = `{"num_results":3,"query":"mysql","results":[
	{"star_count":15000,"is_official":true,"name":"mysql","is_automated":true,"description":"MySQL is a widely used database"},
	{"star_count":900,"is_official":false,"name":"team/mysql","description":"Another one"},
	{"star_count":5,"is_official":false,"name":"x/y","description":"about mysql"}]}`

const siteAnswer = `{"count":2,"next":"","results":[
	{"repo_name":"mysql","short_description":"MySQL is a widely used database","star_count":15000,"pull_count":9,"repo_owner":"","is_automated":false,"is_official":true},
	{"repo_name":"team/mysql","short_description":"Another one","star_count":900,"is_official":false}]}`

// answers serves one path and knows no other.
func answers(t *testing.T, path, text string) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(text))
	})
}

func names(found []api.SearchResult) string {
	var all []string
	for _, r := range found {
		all = append(all, fmt.Sprintf("%s:%d:%v", r.Name, r.StarCount, r.IsOfficial))
	}
	return strings.Join(all, " ")
}

func TestSearchForms(t *testing.T) {
	for name, test := range map[string]struct{ path, text, want string }{
		"version 1": {"/v1/search", indexAnswer, "mysql:15000:true team/mysql:900:false x/y:5:false"},
		"version 2": {"/v2/search/repositories/", siteAnswer, "mysql:15000:true team/mysql:900:false"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := answers(t, test.path, test.text)
			found, err := service(t, "{}").Search(t.Context(), addr+"/mysql", 0, nil, nil)
			if err != nil || names(found) != test.want {
				t.Errorf("found %s, %v; want %s", names(found), err, test.want)
			}
		})
	}
}

func TestSearchFiltersAndLimit(t *testing.T) {
	addr := answers(t, "/v1/search", indexAnswer)
	s := service(t, "{}")
	for _, test := range []struct {
		limit   int
		filters filter.Args
		want    string
	}{
		{1, nil, "mysql:15000:true"},
		{0, filter.Args{"stars": {"900"}}, "mysql:15000:true team/mysql:900:false"},
		{0, filter.Args{"stars": {"3", "3000"}}, "mysql:15000:true"},
		{0, filter.Args{"is-official": {"true"}}, "mysql:15000:true"},
		{0, filter.Args{"is-official": {"false"}}, "team/mysql:900:false x/y:5:false"},
		{0, filter.Args{"is-automated": {"true"}}, ""},
		{0, filter.Args{"is-automated": {"false"}}, "mysql:15000:true team/mysql:900:false x/y:5:false"},
	} {
		found, err := s.Search(t.Context(), addr+"/mysql", test.limit, test.filters, nil)
		if err != nil || names(found) != test.want {
			t.Errorf("limit %d, filters %v: %s, %v; want %s", test.limit, test.filters, names(found), err, test.want)
		}
	}
	for _, test := range []struct {
		term    string
		limit   int
		filters filter.Args
		says    string
	}{
		{addr + "/x", 101, nil, "limit 101 is outside the range of [1, 100]"},
		{addr + "/x", -1, nil, "limit -1 is outside"},
		{addr + "/x", 0, filter.Args{"stars": {"many"}}, "invalid filter 'stars=many'"},
		{addr + "/x", 0, filter.Args{"is-official": {"perhaps"}}, "invalid filter 'is-official=perhaps'"},
		{addr + "/x", 0, filter.Args{"colour": {"red"}}, "invalid filter 'colour'"},
		{"https://" + addr + "/x", 0, nil, "should not have a scheme"},
	} {
		_, err := s.Search(t.Context(), test.term, test.limit, test.filters, nil)
		wantError(t, test.says, err, errdefs.IsInvalidArgument, test.says)
	}
}

// A private registry has no search, but a catalog, page by page.
func TestSearchInTheCatalog(t *testing.T) {
	r := startRegistry(t, registry.Options{User: "anna", Password: "geheim"})
	img := registry.New("amd64")
	c := registry.Client{Addr: r.Addr, User: "anna", Password: "geheim"}
	for _, name := range []string{"a", "library/mysql", "mysql", "team/mysql-tools", "web"} {
		_, err := c.Push(t.Context(), name, "1", img)
		must(t, err)
	}
	s := service(t, "{}")
	auth := &api.AuthConfig{Username: "anna", Password: "geheim"}
	search := func(term string, limit int) string {
		t.Helper()
		found, err := s.Search(t.Context(), r.Addr+"/"+term, limit, nil, auth)
		must(t, err)
		return strings.ReplaceAll(names(found), r.Addr+"/", "")
	}
	if got := search("mysql", 0); got != "mysql:0:false library/mysql:0:false team/mysql-tools:0:false" {
		t.Errorf("found %s", got)
	}
	if got := search("MySQL", 1); got != "library/mysql:0:false" {
		t.Errorf("found %s", got)
	}
	if got := search("", 0); strings.Count(got, " ") != 4 {
		t.Errorf("everything is %s", got)
	}
	_, err := s.Search(t.Context(), r.Addr+"/mysql", 0, nil, nil)
	wantError(t, "without login", err, errdefs.IsUnauthorized, "search "+r.Addr, "hint: log in to the registry first: login "+r.Addr)
}

func TestCatalogInPages(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/v2/":
		case r.URL.Path != "/v2/_catalog":
			http.NotFound(w, r)
		case r.FormValue("last") == "":
			w.Header().Set("Link", `</v2/_catalog?last=b&n=2>; rel="next"`)
			json.NewEncoder(w).Encode(map[string][]string{"repositories": {"a", "b"}})
		case r.FormValue("last") == "b":
			w.Header().Set("Link", `</v2/_catalog?last=d&n=2>; rel="next"`)
			json.NewEncoder(w).Encode(map[string][]string{"repositories": {"c", "d"}})
		default: // for ever the same
			w.Header().Set("Link", `</v2/_catalog?last=d&n=2>; rel="next"`)
			json.NewEncoder(w).Encode(map[string][]string{"repositories": {"d"}})
		}
	})
	repos, err := service(t, "{}").Repositories(t.Context(), addr, nil)
	if got := strings.Join(repos, " "); err != nil || !strings.HasPrefix(got, "a b c d") {
		t.Errorf("%s, %v", got, err)
	}
}

func TestRegistryThatCannotBeSearched(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			http.NotFound(w, r)
		}
	})
	s := service(t, "{}")
	_, err := s.Search(t.Context(), addr+"/x", 0, nil, nil)
	wantError(t, "search", err, errdefs.IsNotImplemented, addr+" cannot be searched: it has neither a search nor a catalog")
	_, err = s.Repositories(t.Context(), addr, nil)
	wantError(t, "ls", err, errdefs.IsNotImplemented, addr+" does not list its repositories")
	_, err = s.Search(t.Context(), serve(t, page(200))+"/x", 0, nil, nil)
	wantError(t, "a web page", err, errdefs.IsUnavailable, "answered with a web page (status 200)")
}

// Docker Hub's mirrors are asked first; those that cannot be searched are passed over.
func TestSearchThroughMirrors(t *testing.T) {
	broken := serve(t, page(http.StatusOK))
	plain := startRegistry(t, registry.Options{})
	img := registry.New("amd64")
	for _, name := range []string{"library/mysql", "team/mysql"} {
		_, err := registry.Push(t.Context(), plain.Addr, name, "1", img)
		must(t, err)
	}
	s := service(t, "{}")
	s.Mirrors = func(_ context.Context, name string) ([]string, error) {
		if name != access.Hub {
			return nil, nil
		}
		return []string{"http://" + broken, "http://" + plain.Addr + "/below", "http://" + plain.Addr}, nil
	}
	for _, term := range []string{"mysql", "library/mysql", "docker.io/mysql"} {
		found, err := s.Search(t.Context(), term, 0, nil, nil)
		if err != nil || names(found) != "mysql:0:true team/mysql:0:false" {
			t.Errorf("%s: %s, %v", term, names(found), err)
		}
	}
	found, err := s.Search(t.Context(), "mysql", 0, filter.Args{"is-official": {"true"}}, nil)
	if err != nil || names(found) != "mysql:0:true" {
		t.Errorf("official: %s, %v", names(found), err)
	}
}
