# netbootd's commands. "make help" lists them.

# The release, and the source it is built from. A source tree without its history
# says so.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)

# What a release is built for. Outside Linux "netbootd run" only says that it needs it.
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

GO       ?= go
FIRMWARE ?= bios
PREFIX   ?= /usr/local
FUZZTIME ?= 30s
SOAKTIME ?= 10m
CRASHRUNS ?= 300

# The virtual network needs root; everything is built as the user who calls.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := build

.PHONY: help
help: ## list these commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

.PHONY: build
build: ## build the static binary build/netbootd for this machine
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/netbootd ./cmd/netbootd

.PHONY: release
release: ## build static binaries for Linux, and the commands for macOS and Windows
	@set -e; for platform in $(PLATFORMS); do \
		export CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/}; \
		out=build/netbootd-$$GOOS-$$GOARCH$$($(GO) env GOEXE); \
		echo $$out; \
		$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $$out ./cmd/netbootd; \
	done

.PHONY: demo
demo: ## boot a virtual PC through netbootd on a virtual network (FIRMWARE=bios or uefi)
	@sh internal/e2e/packages.sh demo
	@$(MAKE) --no-print-directory build
	@CGO_ENABLED=0 $(GO) build -o build/demo ./internal/e2e/demo
	@$(SUDO) build/demo -firmware $(FIRMWARE)

.PHONY: test
test: unit e2e ## run every test: unit tests with the race detector, then real firmware

# A real S3 server, to upload from. It takes a minute to build, once.
build/versitygw: tools/go.mod
	CGO_ENABLED=0 $(GO) build -modfile=tools/go.mod -trimpath -o $@ github.com/versity/versitygw/cmd/versitygw
	@touch $@

.PHONY: unit
unit: ## run the unit tests with the race detector, and build for every platform
	@sh internal/e2e/packages.sh unit
	@$(MAKE) --no-print-directory build/versitygw release
	$(GO) test -race -count=1 $$($(GO) list ./... | grep -v '^netbootd/internal/e2e$$')

.PHONY: e2e
e2e: ## run the tests with real firmware, TFTP clients and Prometheus (needs root)
	@sh internal/e2e/packages.sh e2e
	@$(MAKE) --no-print-directory build
	CGO_ENABLED=0 $(GO) test -c -o build/e2e.test ./internal/e2e
	cd internal/e2e && $(SUDO) env CI=$(CI) NETBOOTD_E2E=1 NETBOOTD_BIN=../../build/netbootd ../../build/e2e.test -test.v -test.timeout 12m -test.parallel 2

.PHONY: lint
lint: ## check format, vet and staticcheck with every check
	@unformatted=$$(gofmt -s -l $$($(GO) list -f "{{.Dir}}" ./...)); if [ -n "$$unformatted" ]; then echo "gofmt -s would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./cmd/netbootd ./client/... ./tftp/...
	GOOS=windows $(GO) vet ./cmd/netbootd ./client/... ./tftp/...
	$(GO) tool -modfile=tools/go.mod staticcheck -checks all ./...
	$(GO) mod tidy -diff

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: soak
soak: ## let clients of all kinds at the TFTP server for SOAKTIME (10m) while its files change
	SOAKTIME=$(SOAKTIME) $(GO) test -count=1 -v -timeout 0 -run '^TestSoak$$' ./internal/daemon

.PHONY: crash
crash: ## kill a process that changes the image store CRASHRUNS (300) times, and look at what it left
	NETBOOTD_CRASH_RUNS=$(CRASHRUNS) $(GO) test -count=1 -v -timeout 0 -run '^TestCrash$$' ./internal/images

.PHONY: bench
bench: build ## measure netbootd beside other TFTP servers (needs root; BENCH_FLAGS, BENCH_WRITE=1)
	@sh internal/e2e/packages.sh bench
	@CGO_ENABLED=0 $(GO) build -trimpath -o build/pinserver ./internal/bench/pinserver
	@CGO_ENABLED=0 $(GO) build -trimpath -o build/bench ./internal/bench
	@$(SUDO) build/bench $(if $(filter 1,$(BENCH_WRITE)),-write docs/performance.md) $(BENCH_FLAGS)

.PHONY: microbench
microbench: ## run the benchmarks of single functions
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: install
install: build ## install the binary and the unit file below PREFIX
	install -D -m 0755 build/netbootd $(DESTDIR)$(PREFIX)/sbin/netbootd
	install -D -m 0644 examples/netbootd.service $(DESTDIR)/etc/systemd/system/netbootd.service

.PHONY: clean
clean: ## remove what was built
	rm -rf build
