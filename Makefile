# Two commands on a bare machine: `make demo` and `make test`. `make help` lists the rest.
VENV ?= .venv
CORES ?= 8
WORKERS ?= 2
PYTEST_ARGS ?=
PART ?=

# VERBOSE=1 shows all that Snakemake and the steps say.
export VERBOSE

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

define WRITE_PATH
import pathlib, sys, sysconfig
(folder,) = pathlib.Path(sys.argv[1]).glob("lib/python*/site-packages")
(folder / "neuroseg.pth").write_text(sysconfig.get_path("purelib"))
endef
export WRITE_PATH

.DEFAULT_GOAL := help
.PHONY: help setup demo record sync tags verify reproduce test coverage test-viewers benchmark learning predict measures accuracy lint format conda-files clean clean-venv

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## make or update .venv (the others do so by themselves; a finished one costs no time)
	@$(or $(FOUND),$(error Python 3.11 or 3.12 is needed, and none of these is one: $(PYTHON))) envs/install.py --venv $(VENV)

demo: setup ## run the whole pipeline on drawn cells, and say how well it did and where the report lies (VERBOSE=1: all that it says)
	snakemake --cores $(CORES)
	@python -c "$$SHOW_DEMO"

record: export CONFIG_GIVEN = $(value CONFIG)
record: export NAME_GIVEN = $(value NAME)
record: setup ## run everything, record it as a tagged commit and a line of the leaderboard (NAME=small; CONFIG=…; ARGS="--profile …")
	$(if $(NAME),,$(error Give the run a name: make record NAME=two-views))
	@python ledger record $(if $(CONFIG),--config "$$CONFIG_GIVEN") "$$NAME_GIVEN" $(ARGS)

sync: setup ## after `dvc pull` or `dvc checkout`: have DVC vouch for the files, so that Snakemake computes nothing again
	@python ledger sync

tags: setup ## in a clone that came without them: set the tags run/NAME of recorded runs
	@python ledger tags

verify: setup ## compare the hashes of a recorded run's files, as DVC and Git keep them; computes nothing (RUN=two-views)
	@python ledger verify $(or $(RUN),$(error Which run? make verify RUN=two-views))

reproduce: setup ## compute a recorded run again, all of it, in its own environment and worktree, and compare (RUN=two-views)
	@python ledger reproduce $(or $(RUN),$(error Which run? make reproduce RUN=two-views)) $(ARGS)

test: setup ## run the tests (WORKERS=2 side by side; PYTEST_ARGS="-k rle" chooses)
	OMP_NUM_THREADS=1 pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

coverage: setup ## run the tests and tell which lines of the library none of them reaches
	OMP_NUM_THREADS=1 pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term-missing:skip-covered $(PYTEST_ARGS)

# The newest, as users have them; their environment finds this one's packages after its own.
test-viewers: export QT_QPA_PLATFORM = offscreen
test-viewers: setup ## open exported masks by napari's and OME-Zarr's own readers, in an environment of their own (1 GB)
	@python -m venv $(VENV)-viewers
	@$(VENV)-viewers/bin/pip install --quiet napari ome-zarr
	@python -c "$$WRITE_PATH" $(VENV)-viewers
	$(VENV)-viewers/bin/python -m pytest -p no:napari -p no:napari-plugin-engine -o filterwarnings= tests/test_exports.py

benchmark: setup ## race the library with its peers and write docs/benchmarks.md (PART="fusion score" chooses, and writes nothing)
	OMP_NUM_THREADS=1 PYTHONPATH=scripts python -m benchmarks $(PART) $(if $(PART),,--write)

learning: setup ## race training and inference with stock MMDetection's, on the demo (after make demo)
	OMP_NUM_THREADS=1 python -m benchmarks.learning --checkpoint results/demo/train/cascade_mask_rcnn_tiny/fold_0/model.pth --write

# A folder's name reaches the program as it was typed, past make and the shell, whatever letters it has.
predict: export IMAGES_GIVEN = $(value IMAGES)
predict: export NAME_GIVEN = $(value NAME)
predict: export CONFIG_GIVEN = $(value CONFIG)
predict: export DETECTORS_GIVEN = $(value DETECTORS)
predict: setup ## find the cells in your images (IMAGES="My folder" NAME=plate1; DETECTORS=demo; python workflow/predict_folder.py --help)
	@python workflow/predict_folder.py --images="$$IMAGES_GIVEN" --name="$$NAME_GIVEN" --detectors="$$DETECTORS_GIVEN" --config="$$CONFIG_GIVEN" --cores="$(CORES)"

measures: setup ## write docs/measures.md, what the columns of the tables mean, from the code
	@PYTHONPATH=scripts python -c "from pathlib import Path; from neuroseg import morphology; Path('docs/measures.md').write_text(morphology.page(), encoding='utf-8')"

accuracy: setup ## write docs/accuracy.md's table of what each part of the recipe is worth, from recorded runs
	PYTHONPATH=scripts python -m benchmarks.accuracy --write

lint: setup ## check style, formatting, types and the workflow
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

format: setup ## bring the files into the style that lint checks
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

conda-files: setup ## write the conda files after a change of envs/requirements.toml or envs/pins.txt
	python envs/render.py

clean: ## remove the demo's data, its results and what tests left; keeps .venv and the results of other datasets
	rm -rf results/demo data/demo .pytest_cache .hypothesis .ruff_cache .mypy_cache .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-venv: ## remove .venv; mmcv's built operators stay in the user's cache
	rm -rf $(VENV) $(VENV)-viewers
