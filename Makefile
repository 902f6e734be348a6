# Everything that a person or a pipeline does with this project. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test unit cluster-test soak chaos bench mutants generate check-generated fmt lint deny images cluster-up cluster-down install

CLUSTER := tests/cluster/cluster

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Bring up a cluster, install the operator, run the story platform under real load, and show how it scales
	@tests/demo/run

demo-down: ## Remove what `make demo` left running
	@$(CLUSTER) down

test: ## Run every test there is, those on the real cluster included
	@tests/run all

unit: ## Run the tests that need no cluster
	@tests/run unit

cluster-test: ## Run the tests on the real cluster (TESTS=name narrows)
	@tests/run cluster $(TESTS)

soak: ## Run the long forms of the cluster tests
	@LP_SOAK=1 tests/run cluster $(TESTS)

chaos: ## Kill, restart and reshape everything under a ledger of acknowledged writes
	@LP_CHAOS=1 tests/run cluster stores::chaos

bench: ## Print speed and memory of the core, ours beside other tools, and reaction times on the real cluster
	@tests/bench/run

mutants: ## Change the decision core in every small way and see the tests notice
	@tests/run mutants

generate: ## Write what is generated from the types: CRD, reference, default manifests
	@tests/generate

check-generated: ## Fail where something generated is out of date
	@tests/generate --check

fmt: ## Format the code
	@cargo fmt --all

lint: ## Formatting and clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings

deny: ## Licences, bans and sources of the dependencies
	@tests/run deny

images: ## Pack the images of operator and sample app, and bring them into the cluster
	@tests/images

cluster-up: ## Bring up the cluster alone
	@$(CLUSTER) up

cluster-down: ## Remove the cluster
	@$(CLUSTER) down

install: ## Install lpctl, and kubectl-lp beside it, into cargo's folder of programs
	@cargo install --path cli --locked
	@ln -sf lpctl "$${CARGO_INSTALL_ROOT:-$${CARGO_HOME:-$$HOME/.cargo}}/bin/kubectl-lp"
