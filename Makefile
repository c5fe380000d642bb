# Each target says what it does after `##`; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The programs are always built together: one of a workspace alone is built with other features, and so twice.
BUILT = $(shell cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug

# Says in one line what is missing. PostgreSQL, PostGIS and PgBouncer are installed by those who need them.
.PHONY: needs
needs:
	@for program in cargo go setpriv; do command -v $$program > /dev/null || { \
	  echo "make: $$program is missing: install Rust (rustup), Go 1.26 and util-linux"; exit 1; }; done

.PHONY: up
up: needs ## Start control plane, PostgreSQL and TCS simulator, print the exports, stay up until Ctrl-C
	@cargo build --workspace --locked --quiet
	@$(BUILT)/devenv up

.PHONY: tools
tools: needs ## Build the control plane and Helm (once per machine, about 6 minutes on 2 cores) and print their folders
	@cargo build --workspace --locked --quiet
	@$(BUILT)/devenv tools

.PHONY: demo
demo: needs ## The whole story from an empty cluster to a refused login; stays up until Ctrl-C (ONCE=1: ends by itself)
	@cargo build --workspace --locked
	@$(BUILT)/devenv demo $(if $(ONCE),--once)

.PHONY: lint
lint: needs ## Format and clippy, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: docs
docs: needs ## The documentation of the code, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

.PHONY: test
test: lint docs ## Everything that a change must pass; the real servers are started, and built or installed where missing
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	@log=$$(mktemp); trap 'rm -f $$log' EXIT; \
	status=0; cargo test --workspace --locked --no-fail-fast 2>&1 | tee $$log || status=$$?; \
	awk '/^test result:/ { passed += $$4; failed += $$6; skipped += $$8 } \
	  / panicked at / { why = 5 } why > 0 { why--; said = said substr($$0, 1, 400) "\n" } \
	  END { printf "\n%s%d passed, %d failed, %d skipped\n", failed ? said : "", passed, failed, skipped; exit passed == 0 }' $$log; \
	exit $$status

.PHONY: test-long
test-long: needs ## What takes longer than a change may wait: thousands of runs against a vendor that lies
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	cargo test --workspace --locked --test it -- --ignored --nocapture lies::

.PHONY: bench
bench: needs ## The speeds, as ratios of one run, each beside its limit
	cargo build --workspace --locked
	$(BUILT)/devenv tools
	-@$(MAKE) --no-print-directory others
	cargo build --release --locked --package tarana-operator --bin tarana-operator
	cargo bench --locked --package tarana-operator --bench speed

# The Python of what the operator is compared with. Without it the bench says what is missing, and fails.
OTHERS = $(dir $(BUILT))others
.PHONY: others
others:
	@cmp -s benches/others/requirements.txt $(OTHERS)/requirements.txt || { \
	  command -v python3 > /dev/null || { echo "make: python3 is missing: install it, with venv and pip"; exit 1; }; \
	  python3 -m venv --clear $(OTHERS) && \
	  $(OTHERS)/bin/pip install --quiet --disable-pip-version-check --requirement benches/others/requirements.txt && \
	  cp benches/others/requirements.txt $(OTHERS)/; }

.PHONY: soak
soak: needs ## An hour of drift, faults and kills with 100,000 devices (MINUTES, DEVICES, SEED), then a report
	cargo build --release --workspace --locked
	@$(BUILT)/../release/devenv soak --minutes $(or $(MINUTES),60) --devices $(or $(DEVICES),100000) $(if $(SEED),--seed $(SEED))

.PHONY: fuzz
fuzz: needs ## Fuzz what decodes bytes of the vendor and patterns of users, each target for SECONDS (600); see fuzz/README.md
	@for target in envelope device cookie retry_after cron; do \
	  mkdir -p fuzz/corpus/$$target; \
	  cargo +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -dict=fuzz/dict -max_total_time=$(or $(SECONDS),600) -timeout=10 -max_len=65536 -print_final_stats=1; done

.PHONY: crds
crds: needs ## Write crds/ anew from src/api
	cargo build --workspace --locked --quiet
	$(BUILT)/tarana-operator crds --dir crds

.PHONY: openapi
openapi: needs ## Write src/admin/openapi.json anew from the routes
	cargo build --workspace --locked --quiet
	$(BUILT)/tarana-operator openapi > src/admin/openapi.json

.PHONY: fmt
fmt: ## Format
	cargo fmt --all
