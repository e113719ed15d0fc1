# The commands of the README and of CI. Each target sets up its requirements: a virtual environment in .venv with the test
# dependencies, the extension, a temporary mongod. They need Python 3.10 or later, Rust, and a C linker.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python test-slow soak fuzz asan valgrind bench scaling instructions docs docs-serve wheel targets lint lint-code deny cargo-deny stubtest workflows format compiled develop clean requirements

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
TARGETS ?= decode table view encode
FUZZ_SECONDS ?= 60

BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
ENGINES_STAMP := $(VENV)/.installed-engines
DOCS_STAMP := $(VENV)/.installed-docs
WORKFLOWS_STAMP := $(VENV)/.installed-workflows
MONGOD := $(BIN)/python scripts/mongod.py run

# The directory of rustup, for shells that have not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin
# cargo and maturin must have the same interpreter and the same settings, or each rebuilds pyo3 after the other.
export PYO3_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(abspath $(VENV))
export PYTHONDONTWRITEBYTECODE := 1
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport CONDA_PREFIX

# Five processes of pytest, also on two cores: more than half of the time, tests wait. Each starts a mongod of its own, whose
# cursors and sessions tests count; so a server that is given is for one process. ARGS="-n 0" runs the tests in one process as well,
# for a debugger say. The order of files is not by their number of tests: the files of the longest tests have few.
TEST_PROCESSES ?= 5
PROCESSES = $(if $(MONGODB_URI),,-n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder)

# One profile for the demo and all tests: cargo test, clippy and the extension share one build of each dependency.
FASTDEV := --profile fastdev

# The variables that maturin sets for pyo3's build scripts; without them clippy and maturin rebuild pyo3 after each other.
AS_MATURIN = PYO3_BUILD_EXTENSION_MODULE=1 PYO3_ENVIRONMENT_SIGNATURE=$$($(BIN)/python -c \
  'import struct, sys; print("cpython-%d.%d-%dbit" % (*sys.version_info[:2], struct.calcsize("P") * 8))')

help:
	@echo 'make demo       load 200,000 orders into a temporary mongod, read them, compare'
	@echo 'make test       Rust and Python tests against a real mongod'
	@echo 'make test-slow  the tests that take minutes, and property tests with new examples'
	@echo 'make soak       reads, cancellations and faults for 20 minutes, then a leak check; ARGS="--seconds 60 --seed 7"'
	@echo 'make asan       tests at the boundary to C under AddressSanitizer; make valgrind: some of them under valgrind'
	@echo 'make fuzz       fuzz decoder and encoder; TARGETS="decode table view encode", FUZZ_SECONDS=60 each'
	@echo 'make bench      measurements beside other readers; ARGS="--shapes flat --rounds 3"'
	@echo 'make scaling    decoding by threads, documents and fields, and its memory; no server'
	@echo 'make instructions  instructions per document of each stage, by valgrind; ARGS="--shapes flat --record"'
	@echo 'make docs       the documentation site, in target/docs/site; make docs-serve: on http://localhost:8000'
	@echo 'make wheel      a wheel in dist, checked: its files, its size, an import alone, the README in a new environment'
	@echo 'make targets    cargo check for Windows, macOS and musl'
	@echo 'make lint       formatting, clippy, ruff, mypy, stubtest, the docs site; licences where cargo-deny is installed'
	@echo 'make workflows  schemas and an audit of .github and .pre-commit-config.yaml'
	@echo 'make deny       licences, sources and advisories of the Rust dependencies; builds cargo-deny first'
	@echo 'make clean      remove the output of these targets'

# The first time, cargo compiles while pip waits for the network.
demo: $(BIN)/python
	@if test -e $(BENCH_STAMP); then $(MAKE) --no-print-directory $(BENCH_STAMP); else \
	  echo 'Compiling the extension and installing Python packages: about 5 minutes on two cores'; \
	  $(MAKE) --no-print-directory --jobs 2 $(BENCH_STAMP) compiled; fi
	@echo 'Installing the extension: seconds, or minutes after changes to the Rust code'
	$(BIN)/maturin develop $(FASTDEV)
	@echo 'Running the demo: about half a minute'
	$(MONGOD) --cache-gb 1 -- $(BIN)/python examples/demo.py $(ARGS)

test: test-rust test-python

test-rust: $(STAMP)
	$(AS_MATURIN) cargo test $(FASTDEV) --no-run
	$(MONGOD) -- env $(AS_MATURIN) cargo test $(FASTDEV)

test-python: develop
	$(BIN)/python -m pytest $(PROCESSES) $(ARGS)

test-slow: develop $(ENGINES_STAMP)
	$(MONGOD) -- env $(AS_MATURIN) cargo test $(FASTDEV) -- --ignored
	$(MONGOD) -- env DATA_BRIDGE_NEW_EXAMPLES=1 $(BIN)/python -m pytest -m "slow or hypothesis" $(ARGS)

# It starts and kills its own servers. Memory is measured, so the extension is a release build.
soak: $(STAMP)
	$(BIN)/maturin develop --release
	PYTHONPATH=python/tests:python/tests/support:scripts:benches $(BIN)/python -m soak $(ARGS)

# Tests of the boundary to C: Arrow data in and out, capsules, objects made by hand.
BOUNDARY := $(addprefix python/tests/,query/test_from_arrow.py query/test_interop.py query/test_document.py odm/test_models.py)

asan: $(STAMP)
	$(MONGOD) -- env $(AS_MATURIN) scripts/sanitize.sh asan $(BIN)/python $(or $(ARGS),$(BOUNDARY))

valgrind: $(STAMP)
	@command -v valgrind >/dev/null || { echo 'on Debian and Ubuntu: apt-get install valgrind' >&2; exit 1; }
	$(MONGOD) -- env $(AS_MATURIN) scripts/sanitize.sh valgrind $(BIN)/python $(or $(ARGS),python/tests/query/test_from_arrow.py)

# cargo-fuzz passes flags of nightly compilers; RUSTC_BOOTSTRAP=1 lets a stable one take them. No sanitizer: the core has no
# unsafe code of its own, and overflow and debug assertions are on. New inputs are stored in fuzz/corpus, failing ones in
# fuzz/artifacts: copy those to fuzz/seeds, where `make test` replays them.
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz:
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	cd fuzz && for target in $(TARGETS); do \
	  mkdir -p corpus/$$target; \
	  cargo fuzz run --sanitizer none $$target corpus/$$target seeds -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -timeout=20 $(ARGS); \
	done

bench: $(STAMP) $(BENCH_STAMP) $(ENGINES_STAMP)
	$(BIN)/maturin develop --release
	$(MONGOD) --cache-gb 2 -- $(BIN)/python benches/compare.py $(ARGS)
	$(if $(ARGS),,$(MONGOD) --cache-gb 2 -- $(BIN)/python benches/slow_lines.py)
	$(if $(ARGS),,$(MONGOD) --cache-gb 2 -- $(BIN)/python benches/engines.py)

scaling: $(STAMP) $(BENCH_STAMP)
	$(BIN)/maturin develop --release
	$(BIN)/python benches/scaling.py $(ARGS)

# cargo reports the program's path, because CARGO_TARGET_DIR may be any directory.
instructions: $(STAMP)
	@command -v valgrind >/dev/null || { echo 'valgrind counts them; on Debian and Ubuntu: apt-get install valgrind' >&2; exit 1; }
	$(BIN)/maturin develop --release
	cargo build --release -p data-bridge-benches --bin instructions
	$(BIN)/python benches/instructions.py "$$(cargo metadata --format-version 1 --no-deps \
	  | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/instructions" $(ARGS)

lint: lint-code stubtest docs

lint-code: $(STAMP)
	cargo fmt --all --check
	$(AS_MATURIN) cargo clippy --all-targets $(FASTDEV) -- -D warnings
	cargo clippy -p data-bridge-benches --all-targets $(FASTDEV) -- -D warnings
	$(BIN)/python scripts/unasync.py --check
	$(BIN)/python scripts/check_private.py
	$(BIN)/python scripts/check_words.py
	$(BIN)/python scripts/count_lines.py --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v cargo-deny >/dev/null; then $(DENY); \
	  else echo 'cargo-deny is not installed: licences and sources were not checked. make deny installs it.' >&2; fi

# Licences, sources and bans, which lint checks if cargo-deny is installed. Known vulnerabilities too, if their database can be
# fetched from GitHub.
DENY := cargo deny --locked check licenses bans sources

deny: cargo-deny
	$(DENY)
	if cargo deny --locked fetch db; then cargo deny --locked check advisories; \
	  else echo 'The database of advisories cannot be fetched here: advisories were not checked.' >&2; fi

# Its own release profile (fat LTO) takes many times as long to build; it then runs for a second either way.
cargo-deny:
	@command -v cargo-deny >/dev/null || CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo install --locked cargo-deny@0.20.2

# The stub of the native module against the module itself.
stubtest: develop
	$(BIN)/python -m mypy.stubtest data_bridge._core --mypy-config-file pyproject.toml

# The site is built from the source tree: the extension is not needed. Every warning is an error.
docs: $(DOCS_STAMP)
	$(BIN)/python scripts/docs_site.py

# For this machine and Python. The workflow builds the wheels of a release.
wheel: $(STAMP)
	rm -rf dist
	$(BIN)/maturin build --release --locked --out dist
	PYTHONPATH=python/tests/support $(MONGOD) -- $(BIN)/python scripts/check_wheel.py dist/*.whl

targets:
	scripts/check_targets.sh

docs-serve: $(DOCS_STAMP)
	$(BIN)/python scripts/docs_site.py --serve

# Not in lint: these files change seldom, and only their hosts run them.
workflows: $(WORKFLOWS_STAMP)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --offline --min-severity low .github
	$(BIN)/pre-commit validate-config .pre-commit-config.yaml

format: $(STAMP)
	cargo fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What maturin compiles, without maturin.
compiled: $(BIN)/python
	$(AS_MATURIN) cargo build $(FASTDEV) --package data-bridge-python --lib

develop: $(STAMP)
	$(BIN)/maturin develop $(FASTDEV)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist python/data_bridge/_core.*.so
	test -n "$${CARGO_TARGET_DIR:-}" || cargo clean   # a directory from the environment may be shared
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the virtual environment -----------------------------------------------------------------------------------------

$(BIN)/python: | requirements
	@python=$$(scripts/find_python.sh $(PYTHON)); \
	test -x $(BIN)/python || { echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo 'Python cannot make virtual environments here; on Debian and Ubuntu: apt-get install python3-venv' >&2; \
	  exit 1; }; }

$(STAMP): pyproject.toml | $(BIN)/python
	@echo 'Installing Python packages: about a minute'
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --group bench || \
	  for package in pymongoarrow beanie mongoengine matplotlib; do \
	    $(BIN)/python -m pip install --quiet $$package || echo "$$package cannot be installed here: it is skipped." >&2; \
	  done
	@touch $@

$(ENGINES_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --group engines || \
	  echo "Ray and PySpark cannot be installed here: their tests and measurements are skipped." >&2
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(WORKFLOWS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --group workflows
	@touch $@

requirements:
	@command -v cargo >/dev/null || { \
	  echo 'Rust is needed to build the extension: https://rustup.rs' >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || { \
	  echo 'A C compiler is needed to link; on Debian and Ubuntu: apt-get install gcc libc6-dev' >&2; exit 1; }
