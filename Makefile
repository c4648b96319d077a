# Every target sets itself up, from nothing but Python and make.
PYTHON ?= python3
VENV ?= .venv
PREFIX ?= /opt/alexnet
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := runs/demo
CACHE := runs/cache

.PHONY: setup install demo check test test-slow coverage stress release-check bench docs docs-links notebook clean
setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $(READY)

# For a server: the package with what `alexnet serve` needs, in an environment of its own.
install:
	$(PYTHON) -m venv $(PREFIX)
	$(PREFIX)/bin/python -m pip install --no-cache-dir -c constraints.txt '.[serve,explain]'
	$(PREFIX)/bin/alexnet doctor

demo: export ALEXNET_CACHE := $(CACHE)
demo: setup
	rm -rf $(DEMO)
	$(BIN)/alexnet data show toyflowers --out $(DEMO)-images.png
	$(BIN)/alexnet train quickstart --out $(DEMO)
	$(BIN)/alexnet evaluate $(DEMO) --crops 10
	$(BIN)/alexnet predict $(DEMO) --top 3 $(CACHE)/data/toyflowers-1/test/*/0000.jpg
	@echo && echo "Plots of this run:" && ls $(DEMO)-images.png $(DEMO)/plots/*.png $(DEMO)/evaluation-10-crops/*.png
	@echo && echo "To try this run on your images, in a browser or over HTTP:" && echo "$(BIN)/alexnet serve $(DEMO)"

CODE := *.py src tests benchmarks docs/*.py docs/site_pages

check: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The tests' bytecode is kept for the next run, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

# One thread per worker, so that two workers share two cores.
test test-slow coverage stress: export OMP_NUM_THREADS := 1

test: setup
	$(BIN)/pytest -n 2 --dist worksteal

# Many of them wait for processes, signals and limits of time.
test-slow: setup
	$(BIN)/pytest -n 3 --dist worksteal -m slow

coverage: setup
	$(BIN)/pytest -n 2 --cov --cov-report=term

stress: setup
	PYTHONPATH=tests $(BIN)/python -m stress

release-check:
	.ci/release-check

bench: setup
	$(BIN)/alexnet benchmark train
	$(BIN)/python benchmarks/peers.py train
	$(BIN)/python benchmarks/peers.py infer --batch-size 64
	$(BIN)/python benchmarks/peers.py infer --batch-size 1 --repeats 21

# The site, whole and anew: a warning is an error.
docs docs-links: SPHINX := PYTHONPATH=src $(BIN)/python -m sphinx -n -W --keep-going -E -q

docs: setup
	rm -rf docs/_build/html
	$(SPHINX) -b html docs docs/_build/html
	@echo "the site: docs/_build/html/index.html"

# Asks the sites that the pages link to; needs a network.
docs-links: setup
	$(SPHINX) -b linkcheck docs docs/_build/links

# Runs docs/tutorial.py and keeps it, with its outputs, as docs/tutorial.ipynb: minutes.
notebook: setup
	PYTHONPATH=src $(BIN)/python docs/render_tutorial.py

clean:
	rm -rf $(VENV) runs docs/_build docs/reference/generated .pytest_cache .mypy_cache .ruff_cache .coverage
