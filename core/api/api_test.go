package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// The backends here have no engine behind them: these tests are about HTTP.

type images struct {
	Images
	list []image.Summary
	pull func(backend.Pull) error
	seen []string
}

func (f *images) List(context.Context, backend.ImageList) ([]image.Summary, error) {
	return f.list, nil
}
func (f *images) Pull(_ context.Context, p backend.Pull) error { return f.pull(p) }
func (f *images) Inspect(_ context.Context, name string, _ *ocispec.Platform) (image.InspectResponse, error) {
	f.seen = append(f.seen, "inspect "+name)
	return image.InspectResponse{ID: name, Size: 7}, nil
}
func (f *images) Tag(_ context.Context, source, repo, tag string) error {
	f.seen = append(f.seen, "tag "+source+" "+repo+" "+tag)
	return nil
}
func (f *images) Remove(_ context.Context, name string, _ backend.ImageRemove) ([]image.DeleteResponse, error) {
	f.seen = append(f.seen, "remove "+name)
	return nil, nil
}

type containers struct {
	Containers
	attach func(context.Context, backend.Attach, backend.Hijack) error
	wait   chan backend.WaitResult
	create container.CreateRequest
}

func (f *containers) Attach(ctx context.Context, name string, opts backend.Attach, hijack backend.Hijack) error {
	return f.attach(ctx, opts, hijack)
}
func (f *containers) Create(_ context.Context, name string, req container.CreateRequest, _ *ocispec.Platform) (container.CreateResponse, error) {
	f.create = req
	return container.CreateResponse{ID: "id-of-" + name}, nil
}
func (f *containers) Wait(_ context.Context, name string, _ container.WaitCondition) (<-chan backend.WaitResult, error) {
	if name == "nobody" {
		return nil, fmt.Errorf("No such container: nobody: %w", errdefs.ErrNotFound)
	}
	return f.wait, nil
}
func (f *containers) Start(context.Context, string, string) error { return errdefs.ErrNotModified }
func (f *containers) Inspect(context.Context, string, bool) (container.InspectResponse, error) {
	return container.InspectResponse{ID: "c", Config: &container.Config{}, NetworkSettings: &container.NetworkSettings{
		Networks: map[string]*network.EndpointSettings{"bridge": {NetworkID: "n", IPPrefixLen: 16}},
	}}, nil
}

type eventLog struct{ list []events.Message }

func (f eventLog) Subscribe(ctx context.Context, since, until time.Time, match filter.Args, handle func(events.Message) error) error {
	for _, m := range f.list {
		if err := handle(m); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// serve serves on a unix socket, as in life, and returns how to reach it.
func serve(t *testing.T, b Backends) (string, *http.Client) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(New(b, Options{Version: "1"}))
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return socket, &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
}

func send(t *testing.T, c *http.Client, method, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, strings.TrimSpace(string(raw))
}

func TestAnswersOfTheRouter(t *testing.T) {
	_, c := serve(t, Backends{Images: &images{}})
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/_ping", 200, "OK"},
		{"GET", "/v1.24/_ping", 200, "OK"},
		{"HEAD", "/_ping", 200, ""},
		{"GET", "/v1.99/_ping", 400, `{"message":"client version 1.99 is too new. Maximum supported API version is 1.56"}`},
		{"GET", "/v1.23/version", 400, `{"message":"client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"}`},
		{"GET", "/nothing", 404, `{"message":"page not found"}`},
		{"GET", "/v1.50/nothing", 404, `{"message":"page not found"}`},
		{"GET", "/vx/_ping", 404, `{"message":"page not found"}`},
		{"GET", "/v/_ping", 404, `{"message":"page not found"}`},
		{"GET", "/v1./_ping", 404, `{"message":"page not found"}`},
		{"GET", "/v1.5a/_ping", 404, `{"message":"page not found"}`},
		{"GET", "/v1.50", 404, `{"message":"page not found"}`},
		{"GET", "/images/busybox/nothing", 404, `{"message":"page not found"}`},
		{"PATCH", "/images/json", 404, `{"message":"page not found"}`},
		{"HEAD", "/images/json", 404, ""},
		{"GET", "/v1.50/images/json", 200, "[]"},
		{"POST", "/build", 501, `{"message":"building images is not served by this engine yet"}`},
		{"GET", "/swarm", 501, `{"message":"swarm mode is not served by this engine yet"}`},
		{"GET", "/services/x/logs", 501, `{"message":"swarm mode is not served by this engine yet"}`},
		{"GET", "/images/a/b/attestations", 501, `{"message":"reading attestations is not served by this engine yet"}`},
		{"GET", "/containers/json", 501, `{"message":"running containers is not served by this engine yet"}`},
		{"GET", "/images/json?filters=nonsense", 400, ""},
	} {
		resp, body := send(t, c, test.method, test.path, "")
		if resp.StatusCode != test.status || test.body != "" && body != test.body {
			t.Errorf("%s %s: %d %s", test.method, test.path, resp.StatusCode, body)
		}
		if resp.Header.Get("Api-Version") != MaxVersion || resp.Header.Get("Ostype") != "linux" {
			t.Errorf("%s %s: headers %v", test.method, test.path, resp.Header)
		}
	}
}

func TestNamesOfImagesHoldSlashes(t *testing.T) {
	f := &images{}
	_, c := serve(t, Backends{Images: f})
	for _, r := range []struct{ method, path, want string }{
		{"GET", "/v1.50/images/host:5000/a/b:1/json", "inspect host:5000/a/b:1"},
		{"GET", "/images/a%2Fb/json", "inspect a/b"},
		{"GET", "/images/json/json", "inspect json"},
		{"POST", "/images/a/b/tag?repo=c/d&tag=2", "tag a/b c/d 2"},
		{"DELETE", "/images/a/b@sha256:0123", "remove a/b@sha256:0123"},
	} {
		f.seen = nil
		resp, body := send(t, c, r.method, r.path, "")
		if resp.StatusCode >= 300 || len(f.seen) != 1 || f.seen[0] != r.want {
			t.Errorf("%s %s: %d %s, seen %q", r.method, r.path, resp.StatusCode, body, f.seen)
		}
	}
}

func TestBodiesAreChecked(t *testing.T) {
	f := &containers{}
	_, c := serve(t, Backends{Containers: f})
	for body, want := range map[string]string{
		"":                            "config cannot be empty in order to create a container",
		" ":                           "invalid JSON: got EOF while reading request body",
		"{":                           "invalid JSON: unexpected EOF",
		`{"Image":"a"}{"Image":"b"}`:  "unexpected content after JSON",
		`{"HostConfig":{}}`:           "config cannot be empty in order to create a container",
		`{"Image":["not a string"] }`: "invalid JSON: ",
	} {
		resp, answer := send(t, c, "POST", "/containers/create", body)
		if resp.StatusCode != 400 || !strings.Contains(answer, want) {
			t.Errorf("%q: %d %s", body, resp.StatusCode, answer)
		}
	}
	resp, answer := send(t, c, "POST", "/containers/create", `{"Image":"`+strings.Repeat("x", maxBody)+`"}`)
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge body: %d %s", resp.StatusCode, answer)
	}
	plain, err := c.Post("http://x/containers/create", "text/plain", strings.NewReader(`{"Image":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != 400 {
		t.Errorf("a plain text body: %d", plain.StatusCode)
	}
}

func TestCreateOfOlderClients(t *testing.T) {
	f := &containers{}
	_, c := serve(t, Backends{Containers: f})
	body := `{"Image":"a","MacAddress":"02:42:ac:11:00:09","HostConfig":{"NetworkMode":"default","AutoRemove":true,"PidsLimit":0}}`
	resp, answer := send(t, c, "POST", "/v1.24/containers/create?name=n", body)
	if resp.StatusCode != 201 || answer != `{"Id":"id-of-n","Warnings":[]}` {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	if f.create.HostConfig.AutoRemove || f.create.HostConfig.PidsLimit != nil || !f.create.HostConfig.IpcMode.IsShareable() {
		t.Errorf("host config: %+v", f.create.HostConfig)
	}
	if mac := f.create.NetworkingConfig.EndpointsConfig["bridge"].MacAddress.String(); mac != "02:42:ac:11:00:09" {
		t.Errorf("MAC address %q", mac)
	}
	send(t, c, "POST", "/v1.52/containers/create?name=n", body)
	if !f.create.HostConfig.AutoRemove || f.create.NetworkingConfig != nil {
		t.Errorf("newer clients: %+v", f.create)
	}
}

func TestOlderAnswers(t *testing.T) {
	f := &images{list: []image.Summary{{ID: "sha256:1", Size: 5}}}
	_, c := serve(t, Backends{Images: f, Containers: &containers{}})
	for _, test := range []struct{ path, has, lacks string }{
		{"/v1.42/images/json", `"RepoTags":["<none>:<none>"]`, "-"},
		{"/v1.43/images/json", `"VirtualSize":5`, "<none>"},
		{"/v1.44/images/json", `"RepoTags":[]`, "VirtualSize"},
		{"/v1.43/images/a/json", `"VirtualSize":7`, "-"},
		{"/v1.51/images/a/json", `"Parent":""`, "VirtualSize"},
		{"/v1.52/images/a/json", `"Size":7`, "Parent"},
		{"/v1.51/containers/a/json", `"IPPrefixLen":16,"IPv6Gateway":"","MacAddress":"","Networks"`, "-"},
		{"/v1.51/containers/a/json", `{"Id":`, "-"},
		{"/v1.52/containers/a/json", `"Networks"`, "HairpinMode"},
	} {
		_, body := send(t, c, "GET", test.path, "")
		if !strings.Contains(body, test.has) || strings.Contains(body, test.lacks+"\"") {
			t.Errorf("%s: %s", test.path, body)
		}
	}
	for agent, want := range map[string]bool{"docker-compose/1.29.2 docker-py/5.0.3 Linux/6": true, "docker-py/5.0.3": false, "docker-compose/10.0": false} {
		if isCompose1(agent) != want {
			t.Errorf("%s: %v", agent, !want)
		}
	}
}

func TestNotModifiedHasNoBody(t *testing.T) {
	_, c := serve(t, Backends{Containers: &containers{}})
	if resp, body := send(t, c, "POST", "/containers/c/start", ""); resp.StatusCode != 304 || body != "" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func TestPullStreams(t *testing.T) {
	goOn := make(chan struct{})
	f := &images{pull: func(p backend.Pull) error {
		if p.Ref.String() != "docker.io/library/busybox:1" || p.Auth == nil || p.Auth.Username != "u" {
			return fmt.Errorf("%v %+v", p.Ref, p.Auth)
		}
		p.Progress(jsonstream.Message{Status: "Pulling", ID: "1"})
		<-goOn
		return fmt.Errorf("gone: %w", errdefs.ErrNotFound)
	}}
	_, c := serve(t, Backends{Images: f})
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/v1.50/images/create?fromImage=busybox&tag=1", nil)
	req.Header.Set("X-Registry-Auth", "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAifQ==")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	var first, last map[string]any
	if err := dec.Decode(&first); err != nil || first["status"] != "Pulling" {
		t.Fatalf("the first message must come before the work has ended: %v %v", first, err)
	}
	close(goOn)
	if err := dec.Decode(&last); err != nil || last["error"] != "gone" || last["errorDetail"].(map[string]any)["message"] != "gone" {
		t.Errorf("%v %v", last, err)
	}
}

func TestPullFailsBeforeTheFirstMessage(t *testing.T) {
	f := &images{pull: func(backend.Pull) error { return fmt.Errorf("no such thing: %w", errdefs.ErrNotFound) }}
	_, c := serve(t, Backends{Images: f})
	if resp, body := send(t, c, "POST", "/images/create?fromImage=busybox&tag=1", ""); resp.StatusCode != 404 || body != `{"message":"no such thing"}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for _, query := range []string{"fromImage=UPPER", "fromImage=a&tag=b%20c", "", "fromImage=a&tag=1&platform=x/y/z/w"} {
		if resp, body := send(t, c, "POST", "/images/create?"+query, ""); resp.StatusCode != 400 {
			t.Errorf("%q: %d %s", query, resp.StatusCode, body)
		}
	}
}

func TestWaitSendsHeadersFirst(t *testing.T) {
	f := &containers{wait: make(chan backend.WaitResult)}
	_, c := serve(t, Backends{Containers: f})
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/containers/c/wait", nil)
	resp, err := c.Do(req) // returns with the headers
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f.wait <- backend.WaitResult{StatusCode: 3}
	if raw, _ := io.ReadAll(resp.Body); strings.TrimSpace(string(raw)) != `{"StatusCode":3}` {
		t.Errorf("%s", raw)
	}
	if resp, body := send(t, c, "POST", "/containers/nobody/wait", ""); resp.StatusCode != 404 || body != `{"message":"No such container: nobody"}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := send(t, c, "POST", "/containers/c/wait?condition=bored", ""); resp.StatusCode != 400 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestEventNotations(t *testing.T) {
	m := events.Message{Type: "container", Action: "start", Actor: events.Actor{ID: "c1", Attributes: map[string]string{"image": "i"}}}
	_, c := serve(t, Backends{Events: eventLog{[]events.Message{m}}})
	for _, test := range []struct{ path, accept, contentType, line string }{
		{"/v1.51/events", "application/jsonl", "application/json", `{"status":"start","id":"c1","from":"i","Type":"container"`},
		{"/v1.52/events", "", "application/json", `{"Type":"container"`},
		{"/events", "application/jsonl", "application/jsonl", `{"Type":"container"`},
		{"/events", "text/html, application/json-seq;q=0.5", "application/json-seq", "\x1e" + `{"Type":"container"`},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://x"+test.path, nil)
		req.Header.Set("Accept", test.accept)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		if resp.Header.Get("Content-Type") != test.contentType || !strings.HasPrefix(line, test.line) {
			t.Errorf("%s: %s %q %v", test.path, resp.Header.Get("Content-Type"), line, err)
		}
		cancel()
		resp.Body.Close()
	}
}

// hijack sends a raw attach request, with what follows it in the same write.
func hijack(t *testing.T, socket, head, early string) (*net.UnixConn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "POST /v1.50/containers/c/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"+head+"\r\n"+early); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: "POST"})
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.UnixConn), r, resp
}

const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"

func TestAttachEchoes(t *testing.T) {
	raw := make(chan bool, 1)
	f := &containers{attach: func(_ context.Context, opts backend.Attach, hijack backend.Hijack) error {
		if !opts.Stdin || !opts.Stdout || opts.Stderr || !opts.Stream {
			return errors.New("wrong options")
		}
		conn, err := hijack(true)
		if err != nil {
			return err
		}
		_, plain := conn.(*net.UnixConn)
		raw <- plain
		if _, err := io.Copy(conn, conn); err != nil { // until the client ends its input
			return err
		}
		_, err = io.WriteString(conn, "bye")
		return errors.Join(err, conn.CloseWrite())
	}}
	socket, _ := serve(t, Backends{Containers: f})
	for _, test := range []struct {
		name, head, early string
		status            int
		plain             bool
	}{
		{"upgrade", upgrade, "", 101, true},
		{"upgrade with early input", upgrade, "early ", 101, false},
		{"old client", "", "", 200, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, r, resp := hijack(t, socket, test.head, test.early)
			if resp.StatusCode != test.status || resp.Header.Get("Content-Type") != "application/vnd.docker.raw-stream" {
				t.Errorf("%s %v", resp.Status, resp.Header)
			}
			if plain := <-raw; plain != test.plain {
				t.Errorf("handed the raw connection: %v", plain)
			}
			_, _ = io.WriteString(conn, "hello ")
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if want := test.early + "hello bye"; string(got) != want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestAttachErrors(t *testing.T) {
	f := &containers{}
	socket, c := serve(t, Backends{Containers: f})
	f.attach = func(context.Context, backend.Attach, backend.Hijack) error {
		return fmt.Errorf("No such container: c: %w", errdefs.ErrNotFound)
	}
	if resp, body := send(t, c, "POST", "/containers/c/attach", ""); resp.StatusCode != 404 || body != `{"message":"No such container: c"}` {
		t.Errorf("before the hijack: %d %s", resp.StatusCode, body)
	}
	f.attach = func(_ context.Context, _ backend.Attach, hijack backend.Hijack) error {
		if _, err := hijack(false); err != nil {
			return err
		}
		return errors.New("it broke")
	}
	_, r, resp := hijack(t, socket, upgrade, "")
	if resp.Header.Get("Content-Type") != "application/vnd.docker.multiplexed-stream" {
		t.Error(resp.Header)
	}
	var out, errOut strings.Builder
	if _, err := stdcopy.StdCopy(&out, &errOut, r); err != nil || out.String() != "it broke\r\n" || errOut.String() != "" {
		t.Errorf("after the hijack: %q %q %v", out.String(), errOut.String(), err)
	}
}

// TestAttachNoticesTheClientsEnd: a client that only ends its input stays; one
// that closes ends the work, even when nobody reads or writes.
func TestAttachNoticesTheClientsEnd(t *testing.T) {
	ended := make(chan struct{})
	f := &containers{attach: func(ctx context.Context, _ backend.Attach, hijack backend.Hijack) error {
		if _, err := hijack(true); err != nil {
			return err
		}
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	socket, _ := serve(t, Backends{Containers: f})
	conn, _, _ := hijack(t, socket, upgrade, "")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Fatal("the work ended with the client's input")
	case <-time.After(50 * time.Millisecond):
	}
	conn.Close()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the work goes on without its client")
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	f := &images{pull: func(backend.Pull) error { panic("a fault") }}
	_, c := serve(t, Backends{Images: f})
	resp, body := send(t, c, "POST", "/images/create?fromImage=busybox&tag=1", "")
	if resp.StatusCode != 500 || !strings.Contains(body, "a fault") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := send(t, c, "GET", "/_ping", ""); resp.StatusCode != 200 {
		t.Error("the server is gone")
	}
}

func TestErrorClasses(t *testing.T) {
	for err, want := range map[error]int{
		fmt.Errorf("x: %w", errdefs.ErrNotFound):                                     404,
		errdefs.ErrConflict.WithMessage("x"):                                         409,
		fmt.Errorf("x: %w", fmt.Errorf("y: %w: %w", io.EOF, errdefs.ErrUnavailable)): 503,
		errors.New("x"): 500,
		fmt.Errorf("outer: %w: %w", errdefs.ErrInvalidArgument, errdefs.ErrNotFound): 400,
	} {
		if got := statusOf(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
