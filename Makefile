# Two commands on a bare machine: `make demo` and `make test`. `make help` lists the rest.
VENV ?= .venv
CORES ?= 8
WORKERS ?= 2
PYTEST_ARGS ?=
PART ?=

# Every recipe finds the environment's commands first, as after `. .venv/bin/activate`.
export PATH := $(abspath $(VENV))/bin:$(PATH)

# The first that runs and is of a supported version; `make PYTHON=… setup` names another.
PYTHON ?= python3.11 python3.12 python3
SUPPORTED := 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'
FOUND = $(shell for python in $(PYTHON); do $$python -c $(SUPPORTED) 2>/dev/null && echo $$python && break; done)

define SHOW_DEMO
import json, pathlib
for path in sorted(pathlib.Path("results/demo/evaluate").glob("*.json")):
    scores = json.loads(path.read_text())
    print("%s: map %.3f (95 %% interval %.3f to %.3f)" % (path.stem, scores["map"], scores["map_low"], scores["map_high"]))
print("report: results/demo/report/report.html")
endef
export SHOW_DEMO

.DEFAULT_GOAL := help
.PHONY: help setup demo adopt record sync reproduce test coverage benchmark learning predict accuracy lint format conda-files clean clean-venv

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## make or update .venv (the others do so by themselves; a finished one costs no time)
	@$(or $(FOUND),$(error Python 3.11 or 3.12 is needed, and none of these is one: $(PYTHON))) envs/install.py --venv $(VENV)

demo: setup ## run the whole pipeline on drawn cells, and say how well it did and where the report lies
	snakemake --cores $(CORES)
	@python -c "$$SHOW_DEMO"

adopt: setup ## make configs/pipeline.yaml ask for another run, to be committed and recorded (CONFIG=configs/sartorius.yaml)
	@python -m workflow.ledger adopt $(or $(CONFIG),$(error Which? make adopt CONFIG=configs/sartorius.yaml))

record: setup ## run everything, record it with DVC and Git as a line of the leaderboard (NAME=two-views; ARGS="--profile …")
	@python -m workflow.ledger record $(or $(NAME),$(error Give the run a name: make record NAME=two-views)) $(ARGS)

sync: setup ## after `dvc pull` or `dvc checkout`: have DVC vouch for the files, so that Snakemake computes nothing again
	@python -m workflow.ledger sync

reproduce: setup ## compute a recorded run again in a worktree of its own, and compare (RUN=two-views; ARGS=--force)
	@python -m workflow.ledger reproduce $(or $(RUN),$(error Which run? make reproduce RUN=two-views)) $(ARGS)

test: setup ## run the tests (WORKERS=2 side by side; PYTEST_ARGS="-k rle" chooses)
	OMP_NUM_THREADS=1 pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

coverage: setup ## run the tests and tell which lines of the library none of them reaches
	OMP_NUM_THREADS=1 pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term-missing:skip-covered $(PYTEST_ARGS)

benchmark: setup ## race the library with its peers and write docs/benchmarks.md (PART="fusion score" chooses, and writes nothing)
	OMP_NUM_THREADS=1 PYTHONPATH=scripts python -m benchmarks $(PART) $(if $(PART),,--write)

learning: setup ## race training and inference with stock MMDetection's, on the demo (after make demo)
	OMP_NUM_THREADS=1 python -m benchmarks.learning --checkpoint results/demo/train/cascade_mask_rcnn_tiny/fold_0/model.pth --write

predict: setup ## find the cells in your images (IMAGES=folder), by the detectors of CONFIG=configs/sartorius_cpu.yaml
	$(if $(realpath $(IMAGES)),,$(error Which images? make predict IMAGES=folder))
	@test -L data/own_folder || test ! -e data/own_folder || { echo "error: data/own_folder holds images already; move them away, or run: snakemake --config dataset=own_folder"; exit 1; }
	@ln -sfn $(realpath $(IMAGES)) data/own_folder
	snakemake --cores $(CORES) --configfile $(or $(CONFIG),configs/sartorius_cpu.yaml) --config dataset=own_folder --forcerun results/own_folder/validate/images.parquet
	@echo "results/own_folder: submit/ (run lengths, CSV), segment/ (instances), quantify/ (a row a cell), report/report.html"

accuracy: setup ## write docs/accuracy.md's table of what each part of the recipe is worth, from recorded runs
	PYTHONPATH=scripts python -m benchmarks.accuracy --write

lint: setup ## check style, formatting and the workflow
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

format: setup ## bring the files into the style that lint checks
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

conda-files: setup ## write the conda files after a change of envs/requirements.toml or envs/pins.txt
	python envs/render.py

clean: ## remove the demo's data, its results and what tests left; keeps .venv and the results of other datasets
	rm -rf results/demo data/demo .pytest_cache .hypothesis .ruff_cache .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-venv: ## remove .venv; mmcv's built operators stay in the user's cache
	rm -rf $(VENV)
