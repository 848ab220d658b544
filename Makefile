# customs-lake: two commands for a newcomer, `make demo` and `make test`; each does all of its own set-up.
SHELL  := /bin/bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   ?= build/demo
READY  := $(VENV)/.ready

.PHONY: help setup demo test test-fast test-spark test-cluster coverage bench lint sbom docs architecture zip dictionary clean

# what needs no JVM
PURE := not spark and not lake and not cluster
# a file at a time in two processes: fixtures of a file are made once
SHARED := -n 2 --dist loadfile

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

setup: $(READY)  ## environment, dependencies and the two Delta JARs; LOCKED=1: only archives whose hashes are known

$(READY): pyproject.toml constraints.txt .ci/setup
	@LOCKED=$(LOCKED) bash .ci/setup "$(PYTHON)" "$(VENV)"
	@touch $@

demo: $(READY)   ## generate raw customs files, build the lake, print Table 1 and the reconciliation
	@$(BIN)/customs-lake demo --out $(DEMO)

test: $(READY) zip  ## the whole suite, a file at a time in two processes
	@$(BIN)/python -m pytest --durations=10 $(SHARED)

test-fast: $(READY)  ## what needs no Java: minutes less
	@$(BIN)/python -m pytest --durations=10 $(SHARED) -m "$(PURE)"

test-spark: $(READY) zip  ## the rest: sessions, Delta tables, processes
	@$(BIN)/python -m pytest --durations=10 -m "not ($(PURE))"

test-cluster: $(READY) zip  ## on demand: kills, full disks, YARN and HDFS, the object store; fetches 720 MB once
	@bash tests/cluster/install_builder.sh
	@$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[s3]'
	@for name in hadoop s3; do $(BIN)/python tests/cluster/fetch_jars.py $$name .cache/$$name >/dev/null || exit 1; done
	@CUSTOMS_LAKE_CLUSTER_TESTS=1 $(BIN)/python -m pytest --durations=10 -m cluster

coverage: $(READY)  ## lines that the tests without Java reach, against the floor in pyproject.toml
	@$(BIN)/python -m pytest -q $(SHARED) -m "$(PURE)" --durations=10 --cov --cov-report=term:skip-covered

bench: $(READY)  ## benchmarks: ratios against a peer in the same run
	@for b in tests/benchmarks/bench_*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

sbom: $(READY)   ## build/sbom.cdx.json: every package and JAR with version, licence and hash (CycloneDX)
	@$(BIN)/python docs/tools/supply.py sbom build/sbom.cdx.json

zip: $(READY)    ## build/customs-lake.zip, what executors need (--py-files)
	@$(BIN)/python -m jobs.runtime.package build/customs-lake.zip

lint: $(READY)   ## form, linter, types and spelling; what the continuous integration asks for
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/codespell

docs: $(READY)   ## the documentation site, build/site: static pages, nothing loaded from elsewhere
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

architecture: $(READY)  ## draw docs/pictures/rooms.svg from the imports
	@$(BIN)/python docs/tools/architecture.py docs/pictures/rooms.svg

dictionary: $(READY)  ## write docs/data_dictionary.md from the schemas
	@$(BIN)/python -m schemas.dictionary docs/data_dictionary.md

clean:           ## remove what was built (not the environment)
	rm -rf build artifacts spark-warehouse
