# make compare   the comparison; ARGS="--ratings my.csv" passes options on
# make test      the test suite
# make slow      the tests that take longest, some minutes
# make faults    what goes wrong on real machines and in real files, half an hour, with a table at the end
# make benchmark the benchmarks, about an hour; ARGS="against_notebook" runs one
# make ui        Prefect's server and UI, which later runs report to
# make deploy    a server, a worker and the deployments of deployments/prefect.yaml, in the background
# make stop      ends what make deploy has begun
# make serve     the same deployments from one process in the foreground
# make clean-store ARGS="--older-than 30d"   removes results that no run has used for so long
# make audit     looks the locked packages up among known vulnerabilities, in the net
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: compare test slow faults benchmark ui deploy stop serve clean-store audit lock clean

compare: .venv/.installed
	@$(BIN)/python flows/compare.py $(ARGS)

test: .venv/.installed-test
	@$(BIN)/python -m pytest $(ARGS)

slow: .venv/.installed-test
	@$(BIN)/python -m pytest -m slow $(ARGS)

faults: .venv/.installed-test
	@$(BIN)/python -m pytest tests/faults -m faults --numprocesses 0 $(ARGS)

benchmark: .venv/.installed-test
	@$(BIN)/python -m tests.benchmarks $(ARGS)

ui: .venv/.installed
	@PREFECT_SERVER_ANALYTICS_ENABLED=false $(BIN)/prefect server start

deploy: .venv/.installed
	@$(BIN)/python -m deployments up

stop: .venv/.installed
	@$(BIN)/python -m deployments down

serve: .venv/.installed
	@$(BIN)/python -m deployments serve

clean-store: .venv/.installed
	@$(BIN)/python -m flows.clean_store $(ARGS)

audit: .venv/bin/uv
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

lock: .venv/bin/uv
	$(BIN)/uv pip compile --universal --no-emit-index-url --no-header --all-extras --python-version 3.11 --upgrade \
		--quiet --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.installed: pyproject.toml requirements.lock | .venv/bin/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --constraint requirements.lock --editable '.[sample]'
	@touch $@

.venv/.installed-test: pyproject.toml requirements.lock | .venv/bin/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --constraint requirements.lock --editable '.[sample,test]'
	@touch .venv/.installed $@
