# Two commands do everything on a fresh machine: make demo, make test.
PYTHON ?= python3
# The build of torch for this machine is pip's choice; name another with: make demo TORCH=torch==2.12.0
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test test-pacs core fuzz check clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "plainfilm needs Python 3.11 or later: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=23'
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/plainfilm demo

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The hospital's side against a real PACS, other people's validators and a real browser (Debian; needs root once).
test-pacs: install
	command -v Orthanc dciodvfy chromium pdftotext >/dev/null || apt-get install -y --no-install-recommends \
	    orthanc dicom3tools poppler-utils chromium
	$(BIN)/python -m pip install --quiet hl7apy playwright
	$(BIN)/python -m pytest tests/serve tests/export/test_hospital.py

# What works without any extra: reading and scoring; everything else names the extra that it needs.
core:
	$(PYTHON) -m venv .venv-core
	.venv-core/bin/python -m pip install --quiet .
	.venv-core/bin/python benchmarks/core_install.py

# Damage to everything that comes from outside, for an hour; another beginning: make fuzz SEED=1000000
SEED ?= $(shell date +%Y%m%d)00000
fuzz: install
	PLAINFILM_FUZZ_SECONDS=3600 PLAINFILM_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest tests/fuzz -x

check: install
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .venv-core demo-output
