# `make demo` and `make test` do all the set-up they need, in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
TARGET ?= embedded

.PHONY: help demo test test-ray lint sanity unit e2e node-up node-down kind-up kind-down bench bench-backup bench-reconcile bench-drift bench-canary lock docs clean

help:
	@echo "make demo    the whole loop on a real Milvus on this machine;"
	@echo "             with TARGET=kubernetes on what \`pulumi up\` makes of infra/clusters/dev.yaml"
	@echo "make test    every test this machine can run; says what it leaves out and why"
	@echo "make lint    ruff, mypy --strict, import-linter, ansible-lint"
	@echo "make sanity  ansible-test sanity alone, with the tools that it installs"
	@echo "make unit    the tests that need no server"
	@echo "make test-ray    the tests on a Ray cluster of three nodes, made on this machine"
	@echo "make e2e     the tests on a real Kubernetes node made on this machine (root, Go)"
	@echo "make node-up, make node-down    that node, to try things on"
	@echo "make kind-up, make kind-down    a kind cluster, where there is Docker"
	@echo "make bench   speed and memory, as JSON in .bench/"
	@echo "make bench-backup    backups and restores of 1 GB, against pymilvus and a bare copy;"
	@echo "             other sizes in GB with BENCH_FLAGS='--sizes 0.25,0.5,1,2'"
	@echo "make bench-drift     faults planted in a real Milvus, found and falsely reported;"
	@echo "             BENCH_FLAGS='--rows 1000000', '--clean-runs 5', '--seed N'"
	@echo "make bench-reconcile    rows against the ledger, 1 to 10 million, and a real scan"
	@echo "make bench-canary    false alarms and detection of the embedding canary, against the theory"
	@echo "make docs    the generated reference pages and the JSON Schema"
	@echo "make lock    requirements/*.txt from pyproject.toml"

# uv installs in seconds what takes pip minutes; where it can't reach the packages, pip may.
# Compiled at once: Ansible starts many short processes, and some environments keep no bytecode.
$(STAMP): requirements/bootstrap.txt requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or later is needed; name one with make PYTHON=…" >&2; exit 1; }
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/lock.txt \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)
	@$(BIN)/kitestring demo --target $(TARGET) $(DEMO_FLAGS)

# The programs that the e2e tests need are compiled in the meantime, with what the others leave idle.
test: $(STAMP)
	@mkdir -p .bench
	@nice -n 19 $(BIN)/python -m tests.e2e.toolchain.build >.bench/toolchain.log 2>&1 & \
	  trap 'kill $$! 2>/dev/null || true' EXIT; \
	  $(MAKE) --no-print-directory lint && \
	  $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not e2e" && \
	  $(MAKE) --no-print-directory e2e

e2e: $(STAMP)
	$(BIN)/pytest tests/e2e -m e2e -n $(JOBS) --dist loadfile --no-loadscope-reorder

node-up node-down: $(STAMP)
	@$(BIN)/python -m tests.e2e.node $(@:node-%=%)

KIND ?= kind
KIND_NAME ?= kitestring

kind-up:
	@command -v $(KIND) >/dev/null || { echo "error: kind is not on PATH; name it with make kind-up KIND=…" >&2; exit 1; }
	@docker info >/dev/null 2>&1 || { echo "error: no Docker engine answers; without Docker: make node-up" >&2; exit 1; }
	$(KIND) get clusters | grep -qx $(KIND_NAME) || $(KIND) create cluster --name $(KIND_NAME) --wait 120s

kind-down:
	$(KIND) delete cluster --name $(KIND_NAME)

unit: $(STAMP)
	$(BIN)/pytest tests/unit -n $(JOBS)

# not in the lock: Ray takes 260 MB, and its tests a minute
$(VENV)/ray: $(STAMP)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target $@ 'ray>=2.40'

test-ray: $(VENV)/ray
	PYTHONPATH=$(VENV)/ray $(BIN)/pytest tests/ray

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline

sanity: $(STAMP)
	$(BIN)/pytest tests/ansible/test_collection.py -k sanity

bench: $(STAMP)
	$(BIN)/python -m tests.bench

bench-drift: $(STAMP)
	$(BIN)/python -m tests.bench.drift $(BENCH_FLAGS)

bench-reconcile: $(STAMP)
	$(BIN)/python -m tests.bench reconcile

bench-canary: $(STAMP)
	$(BIN)/python -m tests.bench.canary $(BENCH_FLAGS)

bench-backup: $(STAMP)
	$(BIN)/python -m tests.bench.backup $(BENCH_FLAGS)

docs: $(STAMP)
	$(BIN)/kitestring spec reference > docs/reference/spec.md
	$(BIN)/kitestring spec schema > docs/reference/spec.schema.json
	$(BIN)/kitestring checks reference --to docs/reference
	$(BIN)/python -m kitestring.cli.reference > docs/reference/commands.md

lock: $(STAMP)
	echo uv | $(BIN)/uv pip compile -q - --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --upgrade -o requirements/bootstrap.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra local --extra ingest --extra ansible --extra seal --extra pulumi \
	  --group dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --upgrade -o requirements/lock.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra local --extra ingest --extra seal --extra kubernetes \
	  -c requirements/lock.txt --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate -o requirements/image.txt
	echo hatchling | $(BIN)/uv pip compile -q - -c requirements/lock.txt --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/image-build.txt

clean:
	rm -rf $(VENV) .bench .pytest_cache .mypy_cache .ruff_cache
