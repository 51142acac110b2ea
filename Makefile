# make compare   the comparison; ARGS="--ratings my.csv" passes options on
# make check     ruff, its formatter and mypy
# make test      make check and the test suite, side by side
# make slow      the slowest tests, about half an hour
# make faults    tests of failing machines, broken files and attacks, over an hour, with a table at the end
# make benchmark the benchmarks, about an hour; ARGS="against_notebook" runs one of them
# make ui        Prefect's server and UI; runs started later from this folder report to it
# make deploy    a server, a worker and the deployments of deployments/prefect.yaml, in the background; beside those of
#                another folder with ARGS="--suffix NAME", instead of them with ARGS=--take-over
# make stop      stops what make deploy started from this folder
# make serve     the same deployments, served by one process in the foreground
# make clean-store ARGS="--older-than 30d"   removes cached results that no run has used for 30 days
# make audit     checks the locked packages for known vulnerabilities; needs the network
# make lock      updates requirements.lock
# make clean     removes .venv, builds and the caches of the tools
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

# the folder that .venv was made in, as venv records it, if that is another one: from there come its scripts and our code
ELSEWHERE := $(shell made=$$(sed -n 's|^command = .* -m venv [^/]*\(/.*\)/\.venv$$|\1|p' .venv/pyvenv.cfg 2>/dev/null); \
	[ -z "$$made" ] || [ "$$made" -ef . ] || printf %s "$$made")
export ELSEWHERE

.PHONY: compare check test suite slow faults benchmark ui deploy stop serve clean-store audit lock clean remove-moved-venv

compare: .venv/.installed
	@$(BIN)/python flows/compare.py $(ARGS)

check: .venv/.installed-test
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy

test: .venv/.installed-test
	@$(MAKE) --no-print-directory --jobs 2 check suite

suite: .venv/.installed-test
	@$(BIN)/python -m pytest $(ARGS)

slow: .venv/.installed-test
	@$(BIN)/python -m pytest -m slow $(ARGS)

faults: .venv/.installed-test
	@$(BIN)/python -m pytest tests/faults -m faults --numprocesses 0 $(ARGS)

benchmark: .venv/.installed-test
	@$(BIN)/python -m tests.benchmarks $(ARGS)

ui: .venv/.installed
	@$(BIN)/python -m deployments ui

deploy: .venv/.installed
	@$(BIN)/python -m deployments up $(ARGS)

stop: .venv/.installed
	@$(BIN)/python -m deployments down

serve: .venv/.installed
	@$(BIN)/python -m deployments serve $(ARGS)

clean-store: .venv/.installed
	@$(BIN)/python -m flows.clean_store $(ARGS)

audit: .venv/bin/uv
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

lock: .venv/bin/uv
	$(BIN)/uv pip compile --universal --no-emit-index-url --no-header --all-extras --python-version 3.11 --upgrade \
		--quiet --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

ifneq ($(ELSEWHERE),)
.venv/bin/uv .venv/.installed .venv/.installed-test: remove-moved-venv
endif

remove-moved-venv:
	@printf 'The environment .venv was made in %s: it is made anew for this folder.\n' "$$ELSEWHERE" >&2
	@rm -rf .venv

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.installed: pyproject.toml requirements.lock | .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --quiet --compile-bytecode --constraint requirements.lock --editable '.[sample]'
	@touch $@

.venv/.installed-test: pyproject.toml requirements.lock | .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --quiet --compile-bytecode --constraint requirements.lock --editable '.[sample,test,export]'
	@touch .venv/.installed $@
