# What people type. Every target installs what it misses (see tools/README.md) and can be repeated.
# Arguments for the program: make sandbox ARGS='--once'

SHELL := /bin/bash
CACHE := $(or $(LAMIA_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lamia)
# One set of features for all tests, so that they share one build.
TEST := cargo test --locked --workspace --features lamia/sandbox
TARGET := $(or $(CARGO_TARGET_DIR),target)
SHIPPED := $(TARGET)/shipped
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny

.DEFAULT_GOAL := help
.PHONY: help sandbox simulate simulate-fresh fuzz test test-kubernetes bench bench-zones lint fmt clippy deny tidy gen gen-check

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

sandbox: ## Watch a host go from nothing to HTTPS, on this machine
	@tools/install sandbox $(if $(findstring --kubernetes,$(ARGS)),kubernetes)
	@cargo run --locked --release --package lamia --features sandbox -- sandbox $(ARGS)

simulate: ## Histories of the operator in a simulated world, by seed (SEEDS=20 FROM=0 HOSTS=20 DAYS=7 LIFE=6 EVENTS=20)
	@cargo run --locked --profile simulate --package lamia-sandbox --features simulation --bin simulate

test: ## Every test: real ACME, DNS and Envoy on loopback, and the small Kubernetes API of this repository
	@tools/install test
	$(TEST) $(ARGS)

test-kubernetes: ## The tests that need a Kubernetes API, on a real kube-apiserver
	@tools/install test kubernetes helm
	LAMIA_TEST_KUBERNETES=real $(TEST) --test 'kube_*' $(ARGS)

simulate-fresh: ## Histories by seeds that nobody played before (SIMULATE_SECONDS=300)
	SIMULATE_SECONDS=$(or $(SIMULATE_SECONDS),300) $(TEST) --test simulation fresh -- --nocapture

# Three or four targets each: a minute for a concept.
fuzz: ## What makes no sense, at the small Kubernetes API (FUZZ_SECONDS=20 a target, FUZZ_TARGETS='patch validate selectors')
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),20) $(TEST) --test fuzz -- --test-threads=1 $(or $(FUZZ_TARGETS),patch validate selectors)

# The operator that is measured is the one that ships, without the sandbox in it.
bench: ## How fast hosts go live, and at what cost (BENCH_HOSTS=1,100,1000 BENCH_JSON=file BENCH_API=embedded)
	@tools/install sandbox $(if $(filter embedded,$(BENCH_API)),,kubernetes)
	cargo build --locked --release --package lamia
	@mkdir -p $(SHIPPED) && cp $(TARGET)/release/lamia $(SHIPPED)/lamia
	@BENCH_LAMIA=$(abspath $(SHIPPED)/lamia) cargo bench --locked --package lamia --features sandbox --bench hosts

bench-zones: ## What a large zone costs, and a broken one beside a good one
	@tools/install sandbox
	cargo bench --locked --package lamia --features sandbox --bench zones

lint: fmt clippy deny tidy gen-check ## Format, clippy, dependencies, house rules, generated files

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

deny: $(CARGO_DENY)
	$(CARGO_DENY) --locked --all-features check bans licenses sources

# A debug build: two CPU minutes and a half instead of ten, and it runs for seconds.
$(CARGO_DENY):
	cargo install cargo-deny --locked --version $(CARGO_DENY_VERSION) --debug --root $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION) \
		--target-dir $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/build
	@rm -rf $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/build

tidy:
	cargo xtask tidy

gen: ## Write the generated files: CRDs, docs/cli.md
	cargo xtask gen

gen-check:
	cargo xtask gen --check
