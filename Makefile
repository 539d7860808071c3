# nacre: `make run` builds and opens the shell, `make test` runs every test.
# Both install what is missing with apt-get; nothing else is changed on the machine.

SHELL := /bin/bash
include build.env

# One setting for building, checking and testing, so that they share what is
# compiled; the shim and the race detector need C and say so.
export CGO_ENABLED := 0

PREFIX  ?= /usr/local
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOBIN   := $(CURDIR)/bin
LDFLAGS := -s -w -X main.version=$(VERSION)

# What it takes to build; what the tour needs; what the tests need beside it.
APT_BUILD := gcc libc6-dev make git ca-certificates
APT_TOUR  := docker-registry busybox-static
APT_TEST  := $(APT_TOUR) docker.io skopeo podman zstd less gnupg nftables iproute2 apache2-utils procps util-linux libseccomp-dev python3 curl docker-compose tmux
APT_BENCH := $(APT_TEST) crun
APT_VM    := $(APT_TEST) debootstrap e2fsprogs openssh-client qemu-system-x86 qemu-utils

STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

# A test that fails is run again, alone, twice at most, unless many fail: real kernels, terminals and networks are slow at times. The first
# failure stays in the output, and the tests that needed another run are named at the end, so that they are mended.
TESTSUM := go run gotest.tools/gotestsum@v1.13.0 --format pkgname-and-test-fails --rerun-fails=2 --rerun-fails-max-failures=10 \
	--rerun-fails-report=$(GOBIN)/reruns.txt

.PHONY: vm shots run build programs test lint bench fuzz fuzz-parsers conformance install clean deps-%

run: deps-tour build
	@if [ -t 0 ] && [ -t 1 ]; then exec $(GOBIN)/nacre; else exec go run ./tests/tour -nacre $(GOBIN)/nacre; fi

build: deps-build programs

# The shim is static and holds C code that must run before the Go runtime starts. libseccomp is not needed: its part is
# done by core/runtime/libseccomp.
programs:
	go build -ldflags '$(LDFLAGS)' -o $(GOBIN)/nacre ./cmd/nacre
	go build -ldflags '$(LDFLAGS)' -o $(GOBIN)/nacre-registry ./cmd/nacre-registry
	go build -ldflags '-s -w' -o $(GOBIN)/nacre-resolver ./cmd/nacre-resolver
	CGO_ENABLED=1 PKG_CONFIG=$(CURDIR)/core/runtime/libseccomp/pkg-config GOFLAGS=-tags=seccomp,runc_nocriu,netgo,osusergo go build \
		-ldflags '-s -w -extldflags "-static"' -o $(GOBIN)/nacre-shim ./cmd/nacre-shim

test: deps-test build
	go vet ./...
	NACRE_LEAKS_RECORD=$(GOBIN)/before.txt go test -count=1 -tags leak ./tests/leak
	CGO_ENABLED=1 $(TESTSUM) --packages='$(shell go list ./... | grep -v /tests)' -- -count=1 -race -timeout 20m
	@[ ! -s $(GOBIN)/reruns.txt ] || { echo "run again:"; cat $(GOBIN)/reruns.txt; }
	NACRE_TEST_BIN=$(GOBIN) $(TESTSUM) --packages=./tests/... -- -count=1 -timeout 20m
	@[ ! -s $(GOBIN)/reruns.txt ] || { echo "run again:"; cat $(GOBIN)/reruns.txt; }
	NACRE_LEAKS_BEFORE=$(GOBIN)/before.txt go test -count=1 -tags leak ./tests/leak

lint: deps-build
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

bench: deps-bench build
	go run ./tests/bench -nacre $(GOBIN)/nacre $(BENCHFLAGS)

# Random keys and windows of random sizes for ten minutes; FUZZTIME says otherwise.
FUZZTIME ?= 10m
fuzz: deps-build
	go test -count=1 -timeout 2h ./repl/prompt -run '^TestRandomKeys$$' -v -keytime=$(FUZZTIME)

# The readers of what comes from outside, each for as long; what is found goes into testdata/fuzz beside the test.
PARSERS := core/image:FuzzDescribeArchive core/image:FuzzCleanEntry core/image:FuzzLayerKind core/image:FuzzReadLayers core/image:FuzzChanges \
	core/image:FuzzReference core/container/files:FuzzUnpack core/config:FuzzParse core/mirror:FuzzMirrorFile
fuzz-parsers: deps-build
	for p in $(PARSERS); do go test -run '^$$' -fuzz "^$${p#*:}\$$" -fuzztime $(FUZZTIME) ./$${p%:*} || exit 1; done

# OCI's conformance suite against the registry of `registry serve`. Manifests named by sha512 are left out: the library stores all under sha256.
CONFORMANCE := github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111
conformance: build
	@dir=$$(mktemp -d); $(GOBIN)/nacre-registry serve --addr 127.0.0.1:0 --data $$dir/data > $$dir/out & pid=$$!; \
	trap 'kill $$pid; wait $$pid; rm -rf $$dir' EXIT; \
	until addr=$$(grep -o '127[.]0[.]0[.]1:[0-9]*' $$dir/out); do kill -0 $$pid || exit 1; sleep 0.1; done; \
	cd $$dir && OCI_REGISTRY=$$addr OCI_TLS=disabled OCI_VERSION=1.1 OCI_DATA_SHA512=false go run $(CONFORMANCE)

# The pictures of the README, drawn from the real thing; look at them before they are committed.
shots: deps-test build
	NACRE_TEST_BIN=$(GOBIN) GOFLAGS=$(GOFLAGS),shots go test -count=1 ./tests/shots -run '^TestShots$$'

# The end-to-end tests on another kernel: a Debian with systemd, cgroups of version 2 alone, AppArmor, SELinux. It is
# emulated and takes two hours; what is made stays in VM for the next time. CHECKS names some of tests/vm/run's.
VM     ?= $(HOME)/.cache/nacre-vm
CHECKS ?= all
vm: deps-vm build
	@[ -f $(VM)/disk ] || tests/vm/build $(VM) $(APT_TEST)
	tests/vm/run $(VM) $(GOBIN) $(CHECKS)

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/nacre
	install -m 0755 $(GOBIN)/nacre $(DESTDIR)$(PREFIX)/bin/nacre
	install -m 0755 $(GOBIN)/nacre-shim $(GOBIN)/nacre-registry $(GOBIN)/nacre-resolver $(DESTDIR)$(PREFIX)/libexec/nacre/

clean:
	rm -rf $(GOBIN)

# Installs the packages of one list that dpkg does not know as installed.
deps-build: PACKAGES = $(APT_BUILD)
deps-tour:  PACKAGES = $(APT_BUILD) $(APT_TOUR)
deps-test:  PACKAGES = $(APT_BUILD) $(APT_TEST)
deps-vm:    PACKAGES = $(APT_BUILD) $(APT_VM)
deps-bench: PACKAGES = $(APT_BUILD) $(APT_BENCH)
deps-%:
	@missing=; for p in $(PACKAGES); do \
		[ "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { echo "installing:$$missing" >&2; \
		apt-get update -qq >&2 || echo "the package lists could not be renewed: trying with those that are here" >&2; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >&2 || \
		{ echo "could not install$$missing: as root on Debian, with a package source that answers, this works by itself; elsewhere install them by hand" >&2; exit 1; }; }
