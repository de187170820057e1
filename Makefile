# Developer interface: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3.11
VENV   := .venv
STAMP  := $(VENV)/.installed

.PHONY: install demo test check proto docs clean

install: $(STAMP)

$(STAMP): requirements.lock setup.cfg pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: install
	$(VENV)/bin/airfed demo $(ARGS)

check: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell

test: check
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "not e2e" $(ARGS)
	$(VENV)/bin/python -m pytest -m e2e $(ARGS)

proto: install
	$(VENV)/bin/python -m tests.regenerate_proto

docs: install
	$(VENV)/bin/python -m federatedml.conformance tests/unit/test_conformance_*.py
	$(VENV)/bin/airfed component docs docs/components --charts tests/golden

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
