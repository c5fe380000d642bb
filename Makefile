# The text after `##` describes a target; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Always build the whole workspace: building one package alone selects other features and compiles dependencies twice.
BUILT = $(shell cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug

# Reports missing programs in one line. devenv installs PostgreSQL, PostGIS, PgBouncer and Chromium when it needs them.
.PHONY: needs
needs:
	@for program in cargo go setpriv; do command -v $$program > /dev/null || { \
	  echo "make: $$program is missing: install Rust (rustup), Go 1.26 and util-linux"; exit 1; }; done

# The packages are installed again if the lock file has changed.
.PHONY: ui
ui: ## Install the packages of the pages (npm), if necessary, and write ui/dist
	@for program in node npm; do command -v $$program > /dev/null || { \
	  echo "make: $$program is missing: install Node.js 20 or newer and npm"; exit 1; }; done
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { \
	  echo "make: Node.js $$(node --version) is too old: install Node.js 20 or newer"; exit 1; }
	@cd ui && { cmp -s package-lock.json node_modules/.installed-lock.json || { \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed-lock.json; }; }
	@cd ui && node build.mjs

.PHONY: up
up: needs ui ## Start control plane, PostgreSQL and TCS simulator, print the environment, stay up until Ctrl-C
	@cargo build --workspace --locked --quiet
	@$(BUILT)/devenv up

.PHONY: tools
tools: needs ui ## Build the control plane and Helm (once per machine, about 6 minutes on 2 cores) and print their folders
	@cargo build --workspace --locked --quiet
	@$(BUILT)/devenv tools

.PHONY: demo
demo: needs ui ## Show every feature, from an empty cluster to a rejected login; stays up until Ctrl-C (ONCE=1: exits)
	@cargo build --workspace --locked
	@$(BUILT)/devenv demo $(if $(ONCE),--once)

.PHONY: lint
lint: needs ui ## Check format and clippy, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: docs
docs: needs ui ## Build the code documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

# Creates a virtual environment in the folder $(1) with the packages of the file $(2), unless it has them.
define virtual_environment
cmp -s $(2) $(1)/requirements.txt || { \
  command -v python3 > /dev/null || { echo "make: python3 is missing: install it, with venv and pip"; exit 1; }; \
  python3 -m venv --clear $(1) && \
  $(1)/bin/pip install --quiet --disable-pip-version-check --requirement $(2) && \
  cp $(2) $(1)/requirements.txt; }
endef

# schemathesis, which compares the admin API with its OpenAPI document.
.PHONY: contract
contract:
	@$(call virtual_environment,$(dir $(BUILT))contract,tests/contract/requirements.txt)

.PHONY: test
test: lint docs contract ## Run every check that a change must pass; builds or installs missing servers and starts them
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	@log=$$(mktemp); trap 'rm -f $$log' EXIT; status=0; \
	{ $(REPORT_TIMES) cargo test --workspace --locked --no-fail-fast --lib --bins --tests -- -Z unstable-options --report-time || status=$$?; \
	  cargo test --workspace --locked --doc || status=$$?; (exit $$status); } 2>&1 | tee $$log || status=$$?; \
	awk -f tests/summary.awk $$log || status=$$?; \
	exit $$status

# The duration of a test is an unstable option of the test runner. It is unlocked for the test programs alone, so that nothing is rebuilt.
HOST = $(shell rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
REPORT_TIMES = CARGO_TARGET_$(HOST)_RUNNER="env RUSTC_BOOTSTRAP=1"
# A change is judged by what it does, not by the luck of a seed: `make test-long` draws other seeds, and many more cases.
test: export PROPTEST_RNG_SEED ?= 1
# Most integration tests wait for a server, so that more of them run than there are cores.
export RUST_TEST_THREADS ?= 6

.PHONY: test-long
test-long: needs ui ## Run the long tests: thousands of runs against a faulty vendor API, long stalls and outages, the image
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	packaging/image-files.sh $(ARCH) $(BUILT)/../image-files/$(ARCH)
	PROPTEST_CASES=5000 cargo test --workspace --locked --lib propert
	cargo test --workspace --locked --test it -- --ignored --nocapture --skip leftovers::start_
	$(MAKE) soak MINUTES=3 DEVICES=20000

# The architecture of the image, in the words of container images: that of this machine.
ARCH ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)

.PHONY: image
image: ui ## Build the container image with Docker, or else buildah (IMAGE=tarana-operator, ARCH=amd64 or arm64)
	@packaging/build-image.sh $(or $(IMAGE),tarana-operator) $(ARCH)

.PHONY: bench
bench: needs ui ## Measure the speeds, as ratios within one run, against their limits
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	-@$(MAKE) --no-print-directory others
	cargo build --release --locked --package tarana-operator --bin tarana-operator
	cargo bench --locked --package tarana-operator --bench speed

# The Python environment of the tools that the operator is compared with. Without it the bench reports what is missing and fails.
OTHERS = $(dir $(BUILT))others
.PHONY: others
others:
	@$(call virtual_environment,$(OTHERS),benches/others/requirements.txt)

.PHONY: screenshots
screenshots: needs ui ## Make pictures of the pages, in tests/browser/screenshots and, small, in src/admin/ui/screenshots
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	SCREENSHOTS=1 cargo test --locked --test it -- admin::browser

.PHONY: soak
soak: needs ui ## Run an hour of changes, faults and kills with 100,000 devices (MINUTES, DEVICES, SEED), then report
	cargo build --release --workspace --locked
	@$(BUILT)/../release/devenv soak --minutes $(or $(MINUTES),60) --devices $(or $(DEVICES),100000) $(if $(SEED),--seed $(SEED))

.PHONY: fuzz
fuzz: needs ui ## Fuzz the decoders of vendor data and cron patterns, each target for SECONDS (600); see fuzz/README.md
	@for target in envelope device cookie retry_after cron; do \
	  mkdir -p fuzz/corpus/$$target; \
	  cargo +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -dict=fuzz/dict -max_total_time=$(or $(SECONDS),600) -timeout=10 -max_len=65536 -print_final_stats=1; done

.PHONY: crds
crds: needs ui ## Regenerate crds/ from src/api
	cargo build --workspace --locked --quiet
	$(BUILT)/tarana-operator crds --dir crds

.PHONY: openapi
openapi: needs ui ## Regenerate src/admin/openapi.json from the routes
	cargo build --workspace --locked --quiet
	$(BUILT)/tarana-operator openapi > src/admin/openapi.json

.PHONY: chart-docs
chart-docs: needs ui ## Regenerate the tables of values in the READMEs of the charts from values.yaml
	UPDATE_CHART_DOCS=1 cargo test --locked --test it -- chart::values_table

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all
