# Each target says what it does after `##`; `make` alone lists them.
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: ## Start control plane, PostgreSQL and TCS simulator, print the exports, stay up until Ctrl-C
	@cargo run --quiet --package devenv -- up

.PHONY: tools
tools: ## Build the control plane and Helm (once per machine, about 6 minutes on 2 cores) and print their folders
	@cargo run --quiet --package devenv -- tools
