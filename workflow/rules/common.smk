# What the rules share: the configuration, checked, and names taken from it.
import io
import os
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = workflow.current_basedir
if HERE.is_local:
    CODE = Path(str(HERE)).parents[1]
else:
    # A module of another workflow by github(…), as snakedeploy writes it. Snakemake keeps a bare clone and
    # reads rules from that; scripts need files.
    REPOSITORY = HERE.hosted_repo.repo
    COMMIT = REPOSITORY.commit(HERE.ref).hexsha
    CODE = HERE.hosted_repo.repo_clone.parent / f"neuroseg-{COMMIT}"
    if not CODE.is_dir():
        REPOSITORY.archive(archive := io.BytesIO(), COMMIT)
        archive.seek(0)
        unpacked = tempfile.mkdtemp(dir=CODE.parent)
        with tarfile.open(fileobj=archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # not in Debian's Python 3.11.2
            tar.extractall(unpacked)
        try:
            os.rename(unpacked, CODE)
        except OSError:  # another run was first
            shutil.rmtree(unpacked)
sys.path.insert(0, str(CODE))
# It would keep the library, beside the scripts, from being found.
os.environ.pop("PYTHONSAFEPATH", None)

from workflow import configs, gpu, mistakes, plan, screen, stopping

mistakes.stop_at_doubled_keys(workflow.configfiles)
mistakes.complete(config)
mistakes.stop_at_mistakes(config)

OURS = configs.ROOT / "Snakefile"
# Neither a job on a cluster nor a module of another workflow.
if workflow.is_main_process and Path(workflow.main_snakefile).samefile(OURS):
    stopping.heed()
    screen.shorten(workflow.output_settings)
STARTED = time.time()
SCRIPTS = configs.near(configs.ROOT / "scripts")
GPUS = configs.near(configs.ROOT / "workflow" / "gpu.py")
DATASET = config["dataset"]
ENSEMBLES = plan.ensembles(DATASET, config["ensembles"])
N_FOLDS = config["split"]["n_folds"]
FOLDS = configs.fold_names(config)
HOME = plan.detectors(DATASET)
STUDENTS = config["train"]["pseudo_label"]["students"]
UNFITTED = configs.unfitted(DATASET)
TOGETHER = config["train"]["together"]
PROCESSES = config["train"]["processes"]
GPU = int(gpu.count() > 0) if config["gpus"] == "auto" else config["gpus"]
# Detectors predict side by side, and each takes what cores are left for windows of an image: half a
# gigabyte a core.
PREDICTIONS = len(plan.models(ENSEMBLES)) * len(plan.folds(HOME, FOLDS))
CORES = max(1, min(8, (workflow.resource_settings.cores or 1) // PREDICTIONS))


wildcard_constraints:
    dataset=configs.PLAIN,
    model="[a-z0-9_]+",
    ensemble="[a-z0-9_]+",
    fold="[0-9]+|all",
