# Anthropic Monitor. `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c

BENCHTIME ?= 1x
FUZZTIME ?= 30s
GOLANGCI_LINT ?= github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

GORELEASER ?= github.com/goreleaser/goreleaser/v2@v2.15.1

# Tests run in a zone that is not UTC and has summer time, so that a time that was not made UTC shows.
ZONE := America/New_York

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/monitor
	CGO_ENABLED=0 go build -trimpath -o bin/monitor ./cmd/monitor

.PHONY: run
run: ## run the daemon with ./monitor.yaml, or with the defaults
	go run ./cmd/monitor run

.PHONY: demo
demo: ## run the daemon on a simulated organization
	go run ./cmd/monitor demo

.PHONY: check
check: ## everything that a change must pass: tests and checks
	.ci/run

.PHONY: test
test: ## run all tests
	scripts/test-deps
	TZ=$(ZONE) go test -timeout 40m ./...
	cd deploy/check && TZ=$(ZONE) go test -timeout 10m ./...

.PHONY: race
race: ## run the short tests with the race detector
	scripts/test-deps gcc
	go test -race -short ./...

.PHONY: cover
cover: ## print the share of statements that the tests reach
	scripts/test-deps
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -1

.PHONY: fuzz
fuzz: ## run each fuzz test for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: golden
golden: ## rewrite the expected output under testdata; read the diff
	go test -count=1 $$(grep -rl --include='*_test.go' 'internal/golden"' cmd internal | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: lint
lint: ## run staticcheck and golangci-lint (its first build takes minutes)
	go tool -modfile=tools.mod staticcheck ./...
	go run $(GOLANGCI_LINT) run

.PHONY: fmt
fmt: ## format the code (the first build of the formatter takes minutes)
	go run $(GOLANGCI_LINT) fmt

.PHONY: vuln
vuln: ## look for known vulnerabilities in what we call
	go tool -modfile=tools.mod govulncheck ./...

.PHONY: bench
bench: ## run all benchmarks (BENCHTIME=1x), one package at a time; ratios are to the limit named
	scripts/test-deps
	go test -p 1 -run '^$$' -bench . -benchtime=$(BENCHTIME) ./... | grep -E '^(Benchmark|pkg:|--- FAIL|FAIL|panic)'

.PHONY: postgres
postgres: ## run the tests of the PostgreSQL store
	scripts/test-deps
	go test -count=1 ./internal/storage/postgres/...

.PHONY: release-build
release-build: ## build the program for every system that releases are made for, into dist/
	scripts/release-build

.PHONY: reproducible
reproducible: ## build the program twice, from nothing, and compare
	scripts/reproducible

.PHONY: release-check
release-check: ## check .goreleaser.yaml and what archives hold (the first build of goreleaser takes minutes)
	scripts/release-files
	go run $(GORELEASER) check

.PHONY: dashboards
dashboards: ## check the Grafana dashboards against Grafana's types and units (needs Node 20 and npm)
	go test -count=1 ./internal/dashboards -update
	npm --prefix grafana/check ci
	npm --prefix grafana/check run --silent check
