# The one door. `make help` lists what is behind it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

COLLECTOR := distribution/_build/otelcol-infra
LAB := bin/lab
RELEASE := bin/release
# The modules beside the root's. Only the examples are tested with -race: the others are tools that run one thing
# after the other, and compiling their libraries once more takes minutes.
EXAMPLES := $(patsubst %/go.mod,%,$(wildcard examples/*/go.mod))
TOOLS := $(patsubst %/go.mod,%,$(wildcard distribution/release/go.mod distribution/kubernetes/go.mod))
MODULES := $(EXAMPLES) $(TOOLS)

VULNDB ?= https://vuln.go.dev

# Of `make run`: Go collects garbage before the memory_limiter refuses data.
MEMORY_LIMIT_MIB ?= 512
GOMEMLIMIT ?= $(shell echo $$(($(MEMORY_LIMIT_MIB) * 8 / 10)))MiB

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(LAB) ## real servers, the collector, a small workload and what came of it; stays up until Ctrl-C
	@exec $(LAB) demo

.PHONY: demo-check
demo-check: $(LAB) ## the same once: exit 0 if everything has arrived
	@exec $(LAB) demo --check

.PHONY: order
order: $(LAB) ## the order service of examples/order on real servers, with faults and what came of them; stays up until Ctrl-C
	@exec $(LAB) order

.PHONY: order-check
order-check: $(LAB) ## the same once: exit 0 if everything has arrived
	@exec $(LAB) order --check

.PHONY: run
run: build ## the collector alone, on the servers that CONSUL_HTTP_ADDR, ETCD_ENDPOINTS, VAULT_ADDR name; CONFIG=a.yaml adds to its configuration
	@exec env MEMORY_LIMIT_MIB=$(MEMORY_LIMIT_MIB) GOMEMLIMIT=$(GOMEMLIMIT) \
		$(COLLECTOR) --config collector-config.yaml $(CONFIG:%=--config %) --config distribution/status.yaml \
		--feature-gates=extension.healthcheck.useComponentStatus

.PHONY: build
build: $(LAB) ## the collector, with ocb
	@$(LAB) build collector >/dev/null

.PHONY: $(LAB)
$(LAB):
	@[ -e $@ ] || echo "make: building $@, which builds everything else: the first time takes about a minute" >&2
	@go build -trimpath -gcflags 'all=-dwarf=false' -o $@ ./lab/cmd/lab # The collector's flags: they share what is compiled.

.PHONY: servers
servers: $(LAB) ## the servers that demo and tests run, and the collector, built ahead
	@$(LAB) build etcd etcdctl etcdutl prometheus collector jaeger vault consul temporal

.PHONY: test
test: servers ## every test, on real servers and the real collector
	go test -race -parallel 4 -timeout 20m ./... # They wait for servers more than they compute.
	@env="$$($(LAB) build --env)" && eval "$$env" && \
	for folder in $(EXAMPLES); do echo "go -C $$folder test -race ./..." && go -C $$folder test -race ./... || exit; done && \
	for folder in $(TOOLS); do echo "go -C $$folder test ./..." && go -C $$folder test -timeout 20m ./... || exit; done

.PHONY: kubernetes-test
kubernetes-test: $(LAB) ## chart and kustomize on a real kube-apiserver, which it builds first: some minutes
	@$(LAB) build etcd kube-apiserver >/dev/null
	go test -count=1 -run KubeAPIServer ./lab
	go -C distribution/kubernetes test -count=1 -v -run OnAServer .

# All scenarios side by side, each with a new seed; a difference prints the command that replays it.
SOAK ?= 30m
.PHONY: soak
soak: servers ## the oracles of test/oracle for SOAK=30m each: a random workload with faults, compared with what the servers say
	go test -race -count=1 -timeout 0 -parallel 6 -v ./test/oracle/... -duration=$(SOAK)

.PHONY: test-short
test-short: ## the tests that need no servers: the quick loop
	go test -short ./...
	@for folder in $(MODULES); do echo "go -C $$folder test -short ./..." && go -C $$folder test -short ./... || exit; done

.PHONY: package-test
package-test: servers ## the packages under a real systemd: installed, upgraded, removed. As root, with debootstrap and systemd-container
	go test -race -timeout 20m -v ./distribution/linux ./test/packages
	go -C distribution/release test -v ./linuxpackage

.PHONY: bench
bench: export LAB_OPTIMIZED := 1
bench: ## the benchmarks, some on a real Consul, etcd and Vault; compare two runs with benchstat
	go test -run '^$$' -bench . -skip Latency -benchmem -count 5 ./receiver/... ./processor/... ./internal/...
	go test -run '^$$' -bench Latency ./receiver/consulreceiver ./receiver/etcdreceiver # percentiles of many changes, once

# Users need no Node.js: the bundle is committed, and a test says when it is older than its sources.
.PHONY: page
page: ## the bundle of the local page, with Node.js 20 or newer: lab/page/web → lab/page/assets
	cd lab/page/web && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

.PHONY: generate
generate: ## what mdatagen makes of each metadata.yaml
	go generate ./...

.PHONY: tidy
tidy: ## go.mod, go.sum and the layout of the code
	go mod tidy
	@for folder in $(MODULES); do echo "go -C $$folder mod tidy" && go -C $$folder mod tidy || exit; done
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

.PHONY: lint
lint: ## golangci-lint
	go tool -modfile=internal/tools/lint/go.mod golangci-lint run
	@for folder in $(MODULES); do echo "golangci-lint run, in $$folder" && \
		go -C $$folder tool -modfile=$(CURDIR)/internal/tools/lint/go.mod golangci-lint run || exit; done

.PHONY: check
check: ## fail if anything generated or tidied is out of date
	@state() { git status --porcelain; git diff; }; before="$$(state)"; \
	$(MAKE) --no-print-directory generate tidy && after="$$(state)" && \
	if [ "$$before" != "$$after" ]; then \
		git --no-pager diff --stat; \
		echo "make check: files were out of date: run 'make generate tidy' and commit what changed" >&2; exit 1; \
	fi

.PHONY: release
release: $(RELEASE) ## all that is published, into distribution/_release: VERSION=0.2.0 [KEY=minisign.key] [RPM_KEY=openpgp.asc] [APK_KEY=rsa.pem]
	@exec $(RELEASE) all --version "$(VERSION)" --key "$(KEY)" --rpm-key "$(RPM_KEY)" --apk-key "$(APK_KEY)"

.PHONY: licences
licences: build $(RELEASE) ## the licence of each dependency; fails if one forbids shipping
	@exec $(RELEASE) licences

.PHONY: vulncheck
vulncheck: build ## known vulnerabilities in the collector, as https://vuln.go.dev lists them; VULNDB=file:///folder reads a copy
	@go tool -modfile=internal/tools/vulncheck/go.mod govulncheck -db $(VULNDB) -mode binary $(COLLECTOR); \
	status=$$?; [ $$status = 0 ] || [ $$status = 3 ] || \
		echo "make vulncheck: nothing is known about vulnerabilities: $(VULNDB) gave no answer; VULNDB=file:///folder reads a copy of it" >&2; \
	exit $$status

.PHONY: portable
portable: ## the components compiled for macOS, Windows and arm64: a part of cross, in minutes
	@for platform in darwin/arm64 windows/amd64; do echo "go build ./... for $$platform" && \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 go build -trimpath -gcflags 'all=-dwarf=false' \
			./receiver/... ./processor/... ./internal/... || exit; done

.PHONY: cross
cross: $(RELEASE) ## the collector for every platform that is released
	@$(RELEASE) compile >/dev/null

# The collector's flags: they share what is compiled.
.PHONY: $(RELEASE)
$(RELEASE):
	@go -C distribution/release build -trimpath -gcflags 'all=-dwarf=false' -o $(CURDIR)/$@ ./cmd/release

.PHONY: clean
clean: ## remove what was built here (not the servers in the user cache)
	rm -rf bin distribution/_build distribution/_release distribution/_stamped
