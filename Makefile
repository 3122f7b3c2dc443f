# Everything that a fresh machine needs is made here: `make demo`, `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test check engine images benchmarks docs recordings clean clean-images

demo: $(READY)                     ## the main job, on recorded evidence of TensorFlow images
	$(BIN)/reprocheck demo

test: check engine                 ## every check and every test, with a real container engine
	$(BIN)/python -m pytest

check: $(READY)                    ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

engine:                            ## make sure that a container engine answers
	scripts/engine

images: $(READY) engine            ## build the test images that do not stand yet
	$(BIN)/python -m tests.images.build

benchmarks: $(READY) images        ## how long it takes, by floors and peers of the same run
	$(BIN)/python -m benchmarks

docs: $(READY)                     ## the reference, from the code, and the figures of the judgement
	$(BIN)/python scripts/reference.py
	$(BIN)/python -m tests.judgement --write

recordings: images                 ## the baseline that ships, the demo's evidence and the docs that show them
	scripts/record
	$(MAKE) docs

clean-images: $(READY)             ## remove the test images
	$(BIN)/python -m tests.images.build --clean

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@
