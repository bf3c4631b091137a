# Every target works on a fresh clone: what it needs is installed into .venv first, from the package index alone.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test test-all lint bench clean warm

demo: warm            ## LeNet-5 on real images: quantise, compile, simulate the RTL, compare
	$(BIN)/python examples/lenet5/demo.py

test: lint warm       ## style and types, then everything but the slow tests
	$(BIN)/pytest -n 2 -m "not slow"

test-all: warm        ## every test
	$(BIN)/pytest -n 2

lint: $(STAMP)        ## style, types, import layers, sizes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest tests/architecture
	$(BIN)/python tests/architecture/sizes.py

bench: warm           ## measures, and writes the tables of docs/benchmarks.md
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# Yosys compiles itself once a machine, half a minute. Here it is seen to do so, and parallel tests do not wait for it.
warm: $(STAMP)
	@$(BIN)/python -c "from gatewright.hdl.yosys import run_yosys; run_yosys('write_rtlil none', {}, 'none')"
