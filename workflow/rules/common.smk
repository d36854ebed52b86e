# What the rules share: names taken from the config.
import sys

sys.path.insert(0, workflow.basedir)

from workflow import plan

DATASET = config["dataset"]
ENSEMBLES = config["ensembles"]
N_FOLDS = config["split"]["n_folds"]
GPU = int(plan.has_gpu()) if config["gpus"] == "auto" else config["gpus"]


wildcard_constraints:
    dataset="[a-z0-9_]+",
    model="[a-z0-9_]+",
    ensemble="[a-z0-9_]+",
    fold="[0-9]+",
