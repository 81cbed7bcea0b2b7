# `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CHANNEL := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
# What `make release`, `make entrypoint`, `make image` and `make emulated` build for.
ARCH ?= $(shell uname -m)
MUSL := $(ARCH)-unknown-linux-musl
# Where the programs go: those for another machine do not replace our own.
DIST := dist$(if $(filter-out $(shell uname -m),$(ARCH)),/$(ARCH))
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
IMAGE ?= svidence/entrypoint:dev
VERIFIER_IMAGE ?= svidence/svidence:dev
PLATFORM := linux/$(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(ARCH)))

# What --version says; empty without git, as in a tarball.
COMMIT := $(shell test -e .git && git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)

# ring has C code. The compiler for glibc can compile it for musl too, since nothing of glibc is linked; for another machine it is also the linker.
CROSS := $(if $(filter-out $(shell uname -m),$(ARCH)),$(ARCH)-linux-gnu-)
export CC_$(ARCH)_unknown_linux_musl ?= $(CROSS)gcc
ifneq ($(CROSS),)
export CARGO_TARGET_$(shell echo $(ARCH) | tr a-z A-Z)_UNKNOWN_LINUX_MUSL_LINKER ?= $(CROSS)gcc
endif

# Optimised, but without link-time optimisation, which takes minutes.
QUICK := --profile quick --config 'profile.quick.inherits="release"' --config 'profile.quick.lto="off"' \
	--config profile.quick.codegen-units=16 --config profile.quick.opt-level=1

# The programs that are shipped do not say where they were built; so two builds are equal.
REMAP := RUSTFLAGS="--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(CURDIR)=/svidence"

.PHONY: help demo check test manifests fuzz peers lint bench release emulated entrypoint image toolchain proto clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: toolchain ## sign a TaskRun of three steps, verify it, try to forge it; needs no cluster
	@echo "make demo: building target/quick/svidence (a few minutes the first time), then running it" >&2
	cargo build --locked $(QUICK) --bin svidence
	@"$${CARGO_TARGET_DIR:-target}/quick/svidence" demo

# verify_policy is tests/verify/policy.rs, verify all of that folder, and verify_exhaustion a file beside the folders.
define tests_of
set -- $(1); \
if [ -e tests/$$1.rs ] || [ -e tests/$$1/main.rs ]; then exec cargo test --locked --test "$$@"; fi; \
for theme in tests/*/main.rs; do \
	theme=$${theme%/main.rs}; theme=$${theme#tests/}; part=$${1#$${theme}_}; \
	if [ -e tests/$$theme/$$part.rs ]; then shift; exec cargo test --locked --test $$theme "$$part::$$*"; fi; \
done; \
echo "make check: T=$(1): tests has neither a file nor a folder of that name" >&2; exit 2
endef

check: toolchain ## the inner loop: compile all tests; T=verify_policy runs tests/verify/policy.rs, T="verify_policy ages" those of its tests that begin so
ifdef T
	@$(call tests_of,$(T))
else
	cargo check --locked --workspace --tests
endif

test: entrypoint ## run all tests; those against SPIRE, Tekton and Kubernetes need Go, and are skipped by name without it
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory peers; \
	elif [ "$${CI:-}" = true ]; then echo "make test: with CI=true the tests need the real SPIRE, Tekton and Kubernetes, which Go builds; install Go" >&2; exit 1; \
	else echo "Go is not installed: tests against the real SPIRE, Tekton and Kubernetes will be skipped" >&2; fi
	@# Tests measure with it what hostile input costs.
	cargo build --locked $(QUICK) --bin svidence
	@$(call counted,SVIDENCE_OPTIMISED=$(TARGET)/quick/svidence cargo test --locked --workspace --no-fail-fast)

# A failing test does not stop the others. The last line of output counts all of them, and those that could not run here.
define counted
mkdir -p $(TARGET); : >$(TARGET)/skipped-tests; status=0; \
SVIDENCE_SKIPPED=$(TARGET)/skipped-tests $(1) | tee $(TARGET)/test-output || status=$$?; \
awk -v status=$$status -v skipped=$(TARGET)/skipped-tests -f tests/summary.awk $(TARGET)/test-output; \
exit $$status
endef

manifests: toolchain ## test config/ and charts/: that they agree with the program and each other, and that a real API server takes them
	@$(call counted,bash -c "cargo test --locked --test controller_manifests && cargo test --locked --no-fail-fast --test controller rights && \
		cargo test --locked --no-fail-fast --test controller static_entries")

FUZZ_SECONDS ?= 600
FUZZ_TARGETS := attestation message bundle certificate taskrun chains token yaml
FUZZ := $(TARGET)/fuzz

fuzz: ## fuzz everything that reads untrusted input, FUZZ_SECONDS (600) for each target; needs nightly Rust
	@test -x target/tools/bin/cargo-fuzz || cargo +nightly install cargo-fuzz --locked --root target/tools
	@# With Go installed, the target yaml checks that Go reads the same.
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory peers; fi
	@# Values in std's thread-locals count as leaks, so only the memory limit is watched.
	@# Inputs that fail stay in FUZZ/artifacts; put a copy into testdata/fuzz/<target>/ and `make test` replays it.
	@reader=$(abspath target/peers/tekton-reader); if [ -x "$$reader" ]; then export SVIDENCE_READER="$$reader"; fi; \
	for target in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ)/corpus/$$target $(FUZZ)/artifacts/$$target; \
		PATH="$$PWD/target/tools/bin:$$PATH" CARGO_TARGET_DIR=$(FUZZ) cargo +nightly fuzz run --fuzz-dir fuzz $$target \
			$(FUZZ)/corpus/$$target testdata/fuzz/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -detect_leaks=0 \
			-max_len=65536 -print_final_stats=1 -artifact_prefix=$(FUZZ)/artifacts/$$target/; \
	done

peers: ## build the real SPIRE, Tekton and Kubernetes programs that the tests run against
	@tests/peers/build.sh target/peers

lint: toolchain ## check formatting, clippy with and without the command line, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --all-targets --no-default-features -- -D warnings
	@# Written for those who change it, so links to private items are right.
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps --document-private-items
	@if ! command -v cargo-deny >/dev/null; then \
		echo "cargo-deny is not installed: licences, bans, sources and advisories are not checked"; \
	else \
		cargo deny --locked check licenses bans sources; \
		if cargo deny --locked fetch db >/dev/null 2>&1; then cargo deny --locked check --disable-fetch advisories; \
		else echo "the advisory database cannot be fetched: advisories are not checked"; fi; \
	fi

bench: peers release ## compare entrypoint and verifier with Tekton's; writes docs/benchmarks.md
	cargo bench --locked --quiet $(QUICK) --no-default-features --bench entrypoint
	cargo bench --locked --quiet --bench verifier
	@# Tekton Results needs PostgreSQL and root, and is left out without.
	cargo bench --locked --quiet --bench sources
	cargo bench --locked --quiet --bench controller

release: entrypoint ## build both programs, static and stripped, with what they are made of, and the manual pages, in dist/
	$(REMAP) SVIDENCE_COMMIT=$(COMMIT) cargo build --locked --release --bin svidence --target $(MUSL)
	@mkdir -p $(DIST)
	@cp "$${CARGO_TARGET_DIR:-target}/$(MUSL)/release/svidence" $(DIST)/svidence
	@$(call static,$(DIST)/svidence)
	@rm -rf $(DIST)/man; if $(DIST)/svidence version >/dev/null 2>&1; then $(DIST)/svidence man $(DIST)/man; \
	else echo "programs for $(ARCH) do not run here, so the manual pages are not written; they are the same on every machine"; fi
	@for program in entrypoint svidence; do release/sbom.sh $$program $(MUSL) $(DIST)/$$program >$(DIST)/$$program.cdx.json; done
	@stat -c '%n %s bytes' $(DIST)/entrypoint $(DIST)/svidence

entrypoint: toolchain ## only the injected program, in dist/
	$(REMAP) cargo build --locked --profile entrypoint --no-default-features --bin entrypoint --target $(MUSL)
	@mkdir -p $(DIST)
	@cp "$${CARGO_TARGET_DIR:-target}/$(MUSL)/entrypoint/entrypoint" $(DIST)/entrypoint
	@$(call static,$(DIST)/entrypoint)

emulated: release ## run the demo and the step's tests with programs for another machine: ARCH=aarch64
	@$(DIST)/svidence version >/dev/null || { echo "programs for $(ARCH) do not run here; install qemu-user-static and binfmt-support" >&2; exit 1; }
	$(DIST)/svidence demo
	@# What an emulator cannot do is skipped by name.
	@$(call counted,cargo test --locked --no-fail-fast --target $(MUSL) --test step --test step_variables)

# The program runs in any image, so it must not need any file of that image.
define static
if command -v readelf >/dev/null; then \
	needed=$$(readelf -dl $(1) | grep -E 'NEEDED|INTERP' || true); \
elif command -v file >/dev/null; then \
	needed=$$(file -b $(1) | grep -v -E 'statically linked|static-pie linked' || true); \
else echo "cannot tell whether $(1) is static: install readelf (binutils) or file" >&2; exit 1; fi; \
if [ -n "$$needed" ]; then echo "$(1) is not static:" >&2; echo "$$needed" >&2; exit 1; fi
endef

# Without the operator's configuration, steps take whatever identity the agent gives them. With an empty file, as a failed
# `svidence config > FILE` leaves it, no step could sign.
image: ## build the image for Tekton's -entrypoint-image, and the verifier's, with docker or buildah; needs dist/svidence.json
	@if [ "$(CONFIG)" = none ]; then \
		if [ -e dist/svidence.json ]; then echo "make image: CONFIG=none, but dist/svidence.json is there; remove it" >&2; exit 1; fi; \
		echo "make image: without dist/svidence.json the steps sign with defaults, in the agent's trust domain, whichever that is" >&2; \
	elif ! [ -s dist/svidence.json ]; then \
		echo "make image: dist/svidence.json is missing or empty. It says which trust domain your steps sign in. Create it:" >&2; \
		echo "  make release && dist/svidence config config/spire/config-spire.yaml > dist/svidence.json" >&2; \
		echo "or set CONFIG=none for an image that signs with defaults, in the agent's trust domain, whichever that is" >&2; exit 1; \
	fi
	@$(MAKE) --no-print-directory release
	@if docker info >/dev/null 2>&1; then build="docker build"; \
	elif command -v buildah >/dev/null; then \
		build="buildah build --isolation chroot"; buildah images >/dev/null 2>&1 || build="buildah --storage-driver vfs build --isolation chroot"; \
	else echo "make image: no running docker and no buildah here; install one of them" >&2; exit 1; fi; \
	$$build --platform $(PLATFORM) --build-arg DIST=$(DIST) --target entrypoint --tag $(IMAGE) .; \
	$$build --platform $(PLATFORM) --build-arg DIST=$(DIST) --target svidence --tag $(VERIFIER_IMAGE) .

toolchain: ## install the pinned Rust, with clippy, rustfmt and the musl target
	@command -v rustup >/dev/null || { command -v cargo >/dev/null && exit 0; \
		echo "Rust is not installed: see https://rustup.rs" >&2; exit 1; }; \
	command -v rustup >/dev/null || exit 0; \
	has() { rustup "$$1" list --installed --toolchain $(CHANNEL) 2>/dev/null | grep -q "^$$2"; }; \
	if has component cargo && has component clippy && has component rustfmt && has target $(MUSL); then exit 0; fi; \
	rustup toolchain install $(CHANNEL) --profile minimal --component clippy --component rustfmt --target $(MUSL) --no-self-update

proto: toolchain ## regenerate the protobuf code after a change in proto/
	SVIDENCE_REGENERATE=1 cargo test --locked --test project generated

clean: ## remove everything that was built, including the peers
	cargo clean
	rm -rf dist
