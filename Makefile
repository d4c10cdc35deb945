# stanch: what one does with the tree. `make help` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED := 0
# As releases are built, so that one build cache serves tests, lint and packages.
export GOFLAGS ?= -trimpath
GOFLAGS_BUILD := -trimpath -buildvcs=false

BIN     := bin/stanch
DEMO    := bin/demo
TOOLS   := $(CURDIR)/bin/tools
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse --verify --quiet HEAD 2>/dev/null || echo unknown)
# The time of the commit, not of the build: the same commit gives the same bytes.
DATE    := $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

GOLANGCI_VERSION    := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
NFPM_VERSION        := v2.43.4
GOLANGCI    := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)
NFPM        := $(TOOLS)/nfpm-$(NFPM_VERSION)
# The version of a package: the tag's, or one that sorts by the commit's time.
PKGVERSION  := $(shell v="$$(git describe --tags --match 'v[0-9]*' --abbrev=8 2>/dev/null)" \
	&& echo "$${v\#v}" | sed -E 's/-([0-9]+)-g/+\1.g/' \
	|| echo "0.0.0+$$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y%m%d.%H%M%S 2>/dev/null || echo 0).g$$(git rev-parse --short=8 HEAD 2>/dev/null || echo 0)")

# go install names what it builds itself; the version goes into the file's name,
# so that a new pin builds a new file.
define go-install
	mkdir -p $(TOOLS)/.new
	GOBIN=$(TOOLS)/.new GOFLAGS=-trimpath go install $(1)
	mv $(TOOLS)/.new/$(2) $@
endef

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build bin/stanch, one static binary
	go build $(GOFLAGS_BUILD) -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/stanch

.PHONY: ldflags
ldflags: # what build passes to the linker, for .ci/repro
	@echo '$(LDFLAGS)'

.PHONY: run
run: build ## start the whole gateway on this machine, data under var/
	@go build -o $(DEMO) ./internal/synth/demo && $(DEMO) -prepare
	@exec $(BIN) serve --print-password --config var/stanch.toml

.PHONY: screenshots
screenshots: ## write a picture of each page to docs/screenshots
	@rm -rf docs/screenshots && mkdir -p docs/screenshots
	STANCH_SCREENSHOTS=$(CURDIR)/docs/screenshots go test -count=1 ./internal/e2e -run 'TestScreenshots$$'

.PHONY: demo
demo: ## send eight messages and drop six files into a running `make run`, and show what became of them
	@go build -o $(DEMO) ./internal/synth/demo && $(DEMO)

.PHONY: deps
deps: # the programs that tests use beside Go
	@.ci/deps

.PHONY: test
test: deps ## run all tests but the long ones, after installing what they need: CI's, within half an hour for all it runs
	go test -vet=off ./internal/e2e ./internal/extract ./scanner ./... -timeout 29m # the longest first, the others beside them; lint vets

.PHONY: unit
unit: ## run the fast tests, offline
	go test -short ./...

.PHONY: race
race: ## run the tests under the race detector (needs gcc)
	@.ci/deps race
	CGO_ENABLED=1 go test -race ./... -timeout 40m

.PHONY: long
long: deps ## run those of ./internal/e2e, and beside them what takes many minutes: a hundred kills, every step's fault, the large backlog, the soak (RUN=…)
	@echo "STANCH_LONG=1: of ./internal/e2e these run beside the usual ones or longer than they do:"; \
	grep -lE '\blongTest\(|\beachSecond\(|STANCH_LONG' internal/e2e/*_test.go | sed 's/^/  /'
	STANCH_LONG=1 go test ./internal/e2e -run '$(or $(RUN),.)' -count 1 -v -timeout 180m

.PHONY: ablation
ablation: ## take each system call off the list of the processes that read documents, and look who misses it (minutes)
	STANCH_LONG=1 go test ./internal/extract -run '^TestEachCallIsNeeded$$' -count 1 -v -timeout 60m

.PHONY: soak
soak: deps ## send 200,000 messages through one gateway, and half as many past the same readers; memory and file handles must not grow (SOAK_MESSAGES=…, 20000 or more)
	@echo "TestSoak and TestSoakReaders of ./internal/e2e: $(or $(SOAK_MESSAGES),200000) messages"
	STANCH_LONG=1 STANCH_SOAK_MESSAGES=$(or $(SOAK_MESSAGES),200000) go test ./internal/e2e -run '^TestSoak' -count 1 -v -timeout 180m

.PHONY: lint
lint: $(GOLANGCI) ## go vet, golangci-lint, the import rule
	go vet ./...
	$(GOLANGCI) run ./...
	go test ./internal/arch

$(GOLANGCI):
	$(call go-install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION),golangci-lint)

.PHONY: fuzz
fuzz: ## run every fuzz target for a minute (FUZZTIME=…)
	.ci/fuzz $(or $(FUZZTIME),1m)

.PHONY: bench
bench: bench-scan bench-smime ## run the benchmarks, beside those of the last tag (BENCH=…)
	.ci/bench '$(or $(BENCH),.)'

.PHONY: bench-scan
bench-scan: ## measure the scanner beside the standard library, Hyperscan (where installed) and reading memory, in turns
	@STANCH_BENCH=1 go test ./scanner -run '^TestScanFigures$$' -count 1 -v -timeout 20m | grep -vE '^(=== |--- |PASS|ok )'

.PHONY: bench-index
bench-index: ## measure a patient index of ten million invented patients (3 GiB of disk in TMPDIR, minutes; BENCH_ROWS=…)
	@STANCH_BENCH=1 STANCH_BENCH_ROWS=$(BENCH_ROWS) go test ./internal/index -run '^TestIndexFigures$$' -count 1 -v -timeout 60m | grep -vE '^(=== |--- |PASS|ok )'

.PHONY: bench-extract
bench-extract: ## measure extraction beside inflating and pdftotext (poppler-utils), in turns, on ../shared/corpus
	@STANCH_BENCH=1 go test ./internal/extract -run '^TestExtractFigures$$' -count 1 -v -timeout 30m | grep -vE '^(=== |--- PASS|PASS|ok )'

.PHONY: bench-mail
bench-mail: deps ## measure the mail path beside Debian's Postfix, in turns, and print every figure and how it was made
	@STANCH_BENCH=1 go test ./internal/e2e -run '^TestMailFigures$$' -count 1 -v -timeout 60m | grep -vE '^(=== |PASS|ok )'
	@echo; echo "Held messages a second, commits in groups against one transaction each, 16 writers, in one run:"
	@go test ./internal/store/sqlite -run '^$$' -bench '^BenchmarkCommit$$' -benchtime 1000x -count 3 | sed -n '/^Benchmark/p; s/^ *commit_test.go:[0-9]*: //p'

.PHONY: bench-console
bench-console: ## measure pages of the console's queue with 100,000 held messages, and of its figures over a year in which as many were held (minutes, 1 GiB of disk in TMPDIR)
	@STANCH_BENCH=1 go test ./internal/console -run '^Test(Queue|Year)Figures$$' -count 1 -v -timeout 30m | sed -n 's/^ *[a-z]*_test.go:[0-9]*: //p'

.PHONY: bench-vault
bench-vault: ## measure sealing 256 MiB to the vault, by age and by what FIPS 140 approves, beside a plain copy of the same, in turns (1 GiB of disk in TMPDIR)
	@go test ./internal/store/sqlite -run '^$$' -bench '^BenchmarkSealBesideCopy$$' -benchtime 9x | sed -n '/^Benchmark/p'

.PHONY: bench-smime
bench-smime: deps ## measure S/MIME of a message of 1 MB beside openssl, in turns, and OpenPGP of the same
	@STANCH_BENCH=1 go test ./internal/crypt/smime -run '^TestSMIMEFigures$$' -count 1 -v -timeout 10m | grep -vE '^(=== |--- PASS|PASS|ok )'
	@go test ./internal/crypt/openpgp -run '^$$' -bench '^BenchmarkEncrypt$$' -benchmem | sed -n '/^Benchmark/p'

.PHONY: golden
golden: ## rewrite the golden files; read the diff before you commit it
	@packages="$$({ grep -rlE --include='*_test.go' 'flag\.Bool\("update"' . || true; } | xargs -r dirname | sort -u)"; \
	if [ -z "$$packages" ]; then echo "No package has golden files."; else go test $$packages -update; git diff --stat; fi

.PHONY: generate
generate: ## rewrite generated files
	go generate ./...

.PHONY: vuln
vuln: $(GOVULNCHECK) ## look for known vulnerabilities (needs the network)
	$(GOVULNCHECK) ./...

$(GOVULNCHECK):
	$(call go-install,golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION),govulncheck)

.PHONY: licences
licences: ## check the licence of every module that is linked in
	go test ./internal/arch -run Licences -count 1 -v

.PHONY: package
package: $(NFPM) ## build .deb, .rpm, SBOM and the container's content in dist/
	.ci/package $(NFPM) '$(PKGVERSION)'

.PHONY: pkgversion
pkgversion: # for the scripts
	@echo '$(PKGVERSION)'

.PHONY: sbom
sbom: build ## write dist/stanch.spdx.json, what is linked into bin/stanch
	@mkdir -p dist
	go run ./internal/sbom -binary $(BIN) -version '$(VERSION)' -created '$(DATE)' > dist/stanch.spdx.json

.PHONY: test-package
test-package: $(NFPM) ## install, upgrade, purge and run what `make package` builds, in a namespace of its own (root)
	@.ci/deps package
	.ci/test-package $(NFPM)

.PHONY: test-container
test-container: $(NFPM) ## build the container and run it, after installing podman and runc (root)
	@.ci/deps container
	.ci/test-container $(NFPM)

$(NFPM):
	$(call go-install,github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION),nfpm)

.PHONY: repro
repro: $(NFPM) ## build twice and compare, program and packages
	.ci/repro $(NFPM)

.PHONY: eval
eval: ## measure detection on labelled text and on text without patients beside the checkout; keep docs/accuracy.md current
	@if [ ! -d ../shared/gold ]; then echo "eval: no labelled text at ../shared/gold: skipped."; exit 0; fi; \
	new="$$(mktemp)"; trap 'rm -f "$$new"' EXIT; \
	go run ./cmd/stanch rules eval ../shared/gold/*.jsonl --negatives ../shared/negatives --format markdown >"$$new" && cat "$$new" && \
	awk -v new="$$new" '/^<!-- eval -->$$/ { print; print ""; while ((getline line <new) > 0) print line; print ""; skip = 1 } /^<!-- end of eval -->$$/ { skip = 0 } !skip' \
		docs/accuracy.md >docs/accuracy.md.new && mv docs/accuracy.md.new docs/accuracy.md

.PHONY: eval-extract
eval-extract: ## measure extraction: recall by format, evasions, ordinary mail, hostile files (FORMAT=json: a line a table)
	@STANCH_EVAL=$(or $(FORMAT),table) go test ./internal/extract -run '^(TestCorpus|TestEvasions|TestOrdinaryMail|TestHostile)$$' -count 1 -v -timeout 30m | grep -vE '^(=== |--- PASS|PASS|ok )'

.PHONY: check
check: ## all that CI runs: generated files are up to date, tests, lint, licences, repro
	@before="$$(git diff | sha256sum)"; $(MAKE) generate; \
	if [ "$$before" != "$$(git diff | sha256sum)" ]; then echo "make generate changed files: commit them."; exit 1; fi
	.ci/run
	$(MAKE) licences repro

.PHONY: clean
clean: ## remove what was built; var/ stays
	rm -rf $(BIN) $(DEMO) dist
