# The two commands of the README. `make demo` shows it, `make test` runs every check.

PYTHON ?= python3

.PHONY: demo test

demo: .venv/bin/intermodal
	.venv/bin/intermodal demo

test: .venv
	.venv/bin/pip install -c constraints.txt -e '.[test]'
	.venv/bin/python -m pytest

.venv/bin/intermodal: pyproject.toml constraints.txt | .venv
	.venv/bin/pip install -c constraints.txt -e .

.venv:
	$(PYTHON) -m venv .venv
