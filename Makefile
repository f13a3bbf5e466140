# What people and CI type. `make test` installs what it needs (packages of the system only if they are missing, Python
# packages into .venv) and runs everything; the other targets are its parts.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
VENV := .venv
BACKSTOP := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release/backstop
SOAK := $(dir $(BACKSTOP))backstop-bench soak --bin $(BACKSTOP)
# apt-get needs root; a container's root often has no sudo.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# Everything under test is on this machine, even where a proxy leads to the registries.
comma := ,
export NO_PROXY := $(if $(NO_PROXY),$(NO_PROXY)$(comma))127.0.0.1,localhost
export no_proxy := $(if $(no_proxy),$(no_proxy)$(comma))127.0.0.1,localhost

# A header before each part, and how long it took after it.
define step
	@printf '\n=== %s\n' '$(1)'; begin=$$SECONDS; { $(2); } </dev/null; printf '=== %s: %s s\n' '$(1)' $$((SECONDS - begin))
endef

.PHONY: help
help: ## This list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

.PHONY: test
test: tools test-rust test-simulate test-shuttle test-sdk test-docker test-comparison test-soak bench-gate bench-quick ## Everything

.PHONY: tools
tools: ## Install what is missing: compiler, valgrind, Python with venv, Compose, Prometheus
	$(call step,tools,$(MAKE) --no-print-directory install-tools)

# Valgrind may be there and useless: on Debian, memcheck can't read the loader without libc6-dbg.
.PHONY: install-tools
install-tools:
	@missing=(); \
	command -v cc >/dev/null || missing+=(build-essential); \
	valgrind --quiet true >/dev/null 2>&1 || missing+=(valgrind libc6-dbg); \
	command -v $(PYTHON) >/dev/null || missing+=(python3); \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv); \
	docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || missing+=(docker-compose); \
	if [ $${#missing[@]} -gt 0 ]; then \
		echo "installing $${missing[*]}"; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get update -qq; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"; \
	fi
	@{ command -v prometheus && command -v promtool; } >/dev/null || test -d .cache/prometheus \
		|| $(MAKE) --no-print-directory .cache/prometheus

# The package starts a service when it is installed. Only its two programs are wanted, so it is unpacked here.
.cache/prometheus:
	@mkdir -p .cache
	@unpacked=$$(mktemp -d -p .cache); cd "$$unpacked"; \
	apt-get download -qq prometheus 2>/dev/null || { $(SUDO) apt-get update -qq; apt-get download -qq prometheus; }; \
	dpkg-deb --extract prometheus_*.deb .; rm prometheus_*.deb; cd "$(CURDIR)"; mv "$$unpacked" $@

.PHONY: test-rust
test-rust: ## Unit and integration tests of the workspace, and each micro-benchmark once
	$(call step,cargo test,$(CARGO) test --locked --workspace)
	$(call step,each micro-benchmark once,$(CARGO) test --locked --workspace --bench hot)

# The property tests of contract section 7: a million requests in virtual time. `test-rust` runs a tenth of them; the build is
# the same, because one that is optimised further takes longer to make than it saves.
.PHONY: test-simulate
test-simulate: ## Property tests over simulated histories
	$(call step,simulate,BACKSTOP_SIMULATED=1000000 $(CARGO) test --locked --test simulate -- --nocapture)

.PHONY: test-shuttle
test-shuttle: ## Leases and wake-ups under every schedule that shuttle tries
	$(call step,shuttle,$(CARGO) test --locked --features shuttle --test shuttle)

.PHONY: release
release: ## The optimised binaries, and those of the cost gate and the soak
	$(call step,release build,$(CARGO) build --release --locked --workspace)

# Made again when the pinned packages change. Node comes as a Python package: on Debian it is too old for the clients.
$(VENV)/installed: tests/sdk/requirements.txt
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --no-compile --disable-pip-version-check --no-input --requirement $<
	@touch $@

NODE_MODULES := tests/sdk/node/node_modules
$(NODE_MODULES)/installed: $(addprefix tests/sdk/node/,package.json package-lock.json .npmrc) $(VENV)/installed
	@cd $(dir $<) && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --loglevel=error --no-progress >/dev/null
	@touch $@

.PHONY: sdks
sdks: $(VENV)/installed $(NODE_MODULES)/installed

.PHONY: test-sdk
test-sdk: release ## Real clients, unmodified, against a running gateway
	$(call step,clients: install,$(MAKE) --no-print-directory sdks)
	$(call step,clients,BACKSTOP_BIN=$(BACKSTOP) $(VENV)/bin/python -m pytest tests/sdk)

.cache/docker-venv/installed: tests/docker/requirements.txt
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input --requirement $<
	@touch $@

.PHONY: test-docker
test-docker: .cache/docker-venv/installed ## The Dockerfile's steps as plain commands, Compose, Prometheus
	$(call step,docker,$(<D)/bin/python -m pytest tests/docker)

.PHONY: bench-gate
bench-gate: release ## Instructions and allocations against a bare hyper proxy
	$(call step,cost gate,$(PYTHON) bench/gate.py)

# Times, which nothing is compared with. One piece, on a quiet machine: cargo bench --locked --bench hot -- scan
.PHONY: micro
micro: ## Micro-benchmarks of the hot pieces
	$(call step,micro-benchmarks,$(CARGO) bench --locked --bench hot)

# nginx and haproxy are unpacked below .cache/proxies, not installed. Options: `python3 bench/side_by_side --help`.
.PHONY: bench
bench: release ## Beside nginx and haproxy: writes docs/benchmark/ (a quarter of an hour on a quiet machine)
	$(PYTHON) bench/side_by_side

# Every scenario once, for a moment: that it works, not how fast. Speed is judged by people, on quiet machines.
.PHONY: bench-quick
bench-quick: release $(VENV)/installed ## The same for a moment each, in a temporary directory; and the tests of its arithmetic
	$(call step,side by side,$(VENV)/bin/python -m pytest tests/bench && $(PYTHON) bench/side_by_side --quick)

# Our column of docs/comparison.md is still true. The other gateways' columns need their programs: `make compare`.
.PHONY: test-comparison
test-comparison: release ## Our column of docs/comparison.md
	$(call step,comparison,BACKSTOP_BIN=$(BACKSTOP) $(PYTHON) bench/compare/compare.py --only backstop --check)

# The limits are in bench/src/soak/report.rs. One that ends a cut stream with an error: $(SOAK) --recovery error
.PHONY: soak
soak: release ## A thousand slow streams for three minutes, some cut: nothing is lost, nothing is left over
	$(call step,soak,$(SOAK))

.PHONY: test-soak
test-soak: release ## The same for 20 seconds
	$(call step,soak of 20 s,$(SOAK) --seconds 20 --pieces 8)

COMPARE := .cache/compare
$(COMPARE)/installed: bench/compare/requirements.txt bench/compare/package.json bench/compare/package-lock.json $(VENV)/installed
	@$(PYTHON) -m venv --clear $(@D)/venv
	@$(@D)/venv/bin/pip install --quiet --disable-pip-version-check --no-input --requirement $<
	@cp bench/compare/package.json bench/compare/package-lock.json bench/compare/.npmrc $(@D)/
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --prefix $(@D) --no-audit --no-fund
	@touch $@

.PHONY: compare
compare: release $(COMPARE)/installed ## Write docs/comparison.md: other gateways beside this one (minutes, and about 1 GB of packages)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" BACKSTOP_BIN=$(BACKSTOP) $(VENV)/bin/python bench/compare/compare.py

.PHONY: fmt
fmt: ## Format the sources
	$(CARGO) fmt --all

.PHONY: lint
lint: ## Formatting and lints, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: doc
doc: ## Documentation of everything, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --workspace --document-private-items

.PHONY: fuzz
fuzz: ## Each fuzz target for a moment (FUZZ_SECONDS each, 2 by default); one: fuzz/run TARGET
	$(call step,fuzz,CARGO=$(CARGO) fuzz/run)
