# The two commands of the README. `make demo` shows it, `make test` runs every check.

.PHONY: demo test

demo:
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e . && .venv/bin/intermodal demo

test:
	.ci/browser
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]' && .venv/bin/python -m pytest
