# Thin on purpose: each target is a few commands that can be typed by hand. CI runs the same.

CARGO ?= cargo
IMAGE ?= albeit
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help run lessons demo-topologies bench-backend test test-rust test-browser lint docs fmt fuzz build-deps image

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

build-deps:
	@scripts/install-build-deps

run: build-deps ## Build, make development certificates, run two backends and the balancer
	$(CARGO) build --locked --package albeit-proxy --package albeit-backend
	$(TARGET)/debug/albeit certs --dir certs
	$(TARGET)/debug/albeit dev

lessons: build-deps ## Classic failures, provoked and cured; make lessons LESSON=idle-timeout for one
	$(CARGO) build --locked --workspace --bins
	conf/lessons/run $(LESSON)

demo-topologies: build-deps ## Four ways to a backend, looked at by one client, as a table
	$(CARGO) build --release --locked --workspace --bins
	$(TARGET)/release/demo-topologies $(DEMO_FLAGS)

bench-backend: build-deps ## The backend beside RabbitMQ and NestJS: processor time and memory, as a table
	$(CARGO) build --release --locked -p albeit-backend -p albeit-load
	@scripts/install-bench-peers
	node tests/load/peers/compare.js $(BENCH_FLAGS)

test: test-rust test-browser ## Run all tests, installing what they need where that is allowed

test-rust: build-deps
	$(CARGO) build --locked --workspace --bins
	@scripts/install-log-tools
	@scripts/install-peers
	@if $(CARGO) nextest --version >/dev/null 2>&1; then set -x; \
		$(CARGO) nextest run --locked --workspace; \
	else set -x; \
		$(CARGO) test --locked --workspace --lib --bins --tests -- --test-threads 1; \
	fi
	$(CARGO) test --locked --workspace --doc

test-browser: build-deps
	$(CARGO) build --locked --workspace --bins
	@scripts/install-test-deps
	@scripts/test-browser

lint: build-deps ## Formatting, clippy, documentation, licences and advisories
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps
	@if $(CARGO) deny --version >/dev/null 2>&1; then set -x; \
		scripts/check-dependencies; \
	else \
		echo 'SKIPPED cargo deny: not installed (cargo install --locked cargo-deny)' >&2; \
	fi

docs: build-deps ## Build the documentation as a site: target/book/index.html
	mdbook=$$(scripts/install-mdbook) && "$$mdbook" build --dest-dir "$(TARGET)/book"

# Coverage instrumentation by flags that stable Rust has: no nightly, no further tool.
FUZZ_FLAGS = --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1

# Naming the host's own triple keeps the instrumentation out of build scripts.
HOST = $(shell rustc --print host-tuple)

fuzz: build-deps ## Fuzz one parser: make fuzz FUZZ_TARGET=lb_cookie FUZZ_SECONDS=60
	RUSTFLAGS='$(FUZZ_FLAGS)' $(CARGO) build --locked --profile fuzz --target-dir $(TARGET)/fuzz --target $(HOST) \
		-p albeit-fuzz --features libfuzzer --bin fuzz
	mkdir -p $(TARGET)/fuzz/corpus/$(FUZZ_TARGET)
	FUZZ_TARGET=$(FUZZ_TARGET) $(TARGET)/fuzz/$(HOST)/fuzz/fuzz -max_total_time=$(or $(FUZZ_SECONDS),60) \
		-artifact_prefix=$(TARGET)/fuzz/$(FUZZ_TARGET)- $(TARGET)/fuzz/corpus/$(FUZZ_TARGET)

fmt: ## Format the sources
	$(CARGO) fmt --all

image: ## Build the container image
	docker build -t $(IMAGE) .
