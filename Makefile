# make demo and make test each do all of the set-up, from nothing but Python and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := runs/demo
CACHE := runs/cache

.PHONY: setup demo test torture check bench clean
setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: export ALEXNET_CACHE := $(CACHE)
demo: setup
	rm -rf $(DEMO)
	$(BIN)/alexnet data show toyflowers --out $(DEMO)-pictures.png
	$(BIN)/alexnet train quickstart --out $(DEMO)
	$(BIN)/alexnet evaluate $(DEMO) --views 10
	$(BIN)/alexnet predict $(DEMO) --top 3 $(CACHE)/data/toyflowers-1/test/*/0000.jpg
	@echo && echo "Look at the pictures of this run:" && ls $(DEMO)-pictures.png $(DEMO)/plots/*.png $(DEMO)/evaluation/*.png

check: setup
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

torture: export OMP_NUM_THREADS := 1
torture: setup
	PYTHONPATH=tests $(BIN)/python -m torture

bench: setup
	$(BIN)/alexnet benchmark train
	$(BIN)/python benchmarks/peers.py train
	$(BIN)/python benchmarks/peers.py infer --batch 64
	$(BIN)/python benchmarks/peers.py infer --batch 1 --repeats 21

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
