# What the rules share: names taken from the config.
import sys

sys.path.insert(0, workflow.basedir)

from workflow import gpu, plan

DATASET = config["dataset"]
ENSEMBLES = config["ensembles"]
N_FOLDS = config["split"]["n_folds"]
FOLDS = [*range(N_FOLDS), *(["all"] if config["train"]["full"] else [])]
HOME = plan.detectors(DATASET)
STUDENTS = config["train"]["pseudo_label"]["students"]
PROCESSES = config["train"]["processes"]
GPU = int(gpu.count() > 0) if config["gpus"] == "auto" else config["gpus"]


wildcard_constraints:
    dataset="[a-z0-9_]+",
    model="[a-z0-9_]+",
    ensemble="[a-z0-9_]+",
    fold="[0-9]+|all",
