"""Find the cells in a folder of images: `make predict IMAGES="My folder" NAME=plate1`, and what it does.

A run has a name, by default the folder's, a dataset file of its own, configs/datasets/own/NAME.yaml, and
results of its own, results/NAME. Nothing is copied, and nothing that others' runs are made of is computed
anew.
"""

import argparse
import errno
import fcntl
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).parents[1]))

from workflow import stopping

if __name__ == "__main__":
    stopping.heed()

from snakemake.exceptions import WorkflowError

from workflow import configs, own_images

LOCKS = Path(".snakemake/predict")

FITTING = {"simulate", "train", "pseudo_label", "tune", "evaluate"}
"""Rules that fit detectors or need truth; a run that uses fitted detectors goes without them."""


def main(images: str, name: str, detectors: str, config: str, cores: str) -> int:
    """Predict a folder's images, say where the results lie, return Snakemake's status, or that of Ctrl-C.

    Args:
        images: the folder.
        name: what to call the run; empty for the folder's name.
        detectors: whose detectors find the cells; empty for what the dataset file says, or the best there
            are.
        config: a configuration with the ensembles to use; empty for the one whose detectors are used.
        cores: how many cores Snakemake may use.

    Raises:
        WorkflowError: the run cannot start; nothing was touched but the dataset file.
    """
    folder = own_images.images_of(images)
    refuse_mistyped(detectors, config, cores)
    title = name or folder.name
    dataset = own_images.identifier(title)
    if dataset in configs.carried():
        raise WorkflowError(
            f"the name {dataset} is that of detectors that come with the workflow; give this run another: "
            "NAME=plate1"
        )
    with locked(dataset) as lock:
        file = own_images.dataset_file(dataset, title, folder, detectors)
        home = configs.detectors(dataset)
        path, fitted = own_images.configuration(home)
        path = Path(config) if config else path
        if not fitted and home != "demo" and not config:
            raise WorkflowError(untrained(file, home, path))
        say(f"run {dataset}: images of {folder}; settings in {file}; cells found by the detectors of {home}")
        if not fitted:
            say(f"the detectors of {home} are not trained yet: that comes first, and takes minutes")
        status = finish(command(dataset, path, fitted, cores), lock)
    if status == 0:
        say(
            f"results/{dataset}: report/report.html (open it), quantify/ (measurements), "
            "export/ (masks), submit/"
        )
    elif status != stopping.INTERRUPTED:
        say(f"error: the run {dataset} failed, as said above; there is no report of it")
    return status


def finish(call: Sequence[str], lock: TextIO) -> int:
    """Run Snakemake to its end and return its exit status, or that of Ctrl-C.

    Ctrl-C reaches Snakemake and its steps as well. They are waited for, whatever else comes: a step that is
    killed leaves files half written.
    """
    asked: list[bool] = []
    started: list[subprocess.Popen[bytes]] = []

    def ask(*_: object) -> None:
        asked.append(True)
        stopping.say()
        for process in started:  # where this process alone was told; Snakemake then ends after its steps
            process.terminate()

    heeded = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # as a shell's jobs in the background do
    before = signal.signal(signal.SIGINT, ask) if heeded else None
    try:
        with subprocess.Popen(call, pass_fds=[lock.fileno()]) as process:
            started.append(process)
            status = process.wait()
    finally:
        if heeded:
            signal.signal(signal.SIGINT, before)
    if status == stopping.INTERRUPTED:  # perhaps Snakemake alone was told
        stopping.say()
    return stopping.INTERRUPTED if asked and status else status


def refuse_mistyped(detectors: str, config: str, cores: str) -> None:
    """Refuse settings that no run can have, before a dataset file keeps them for the next runs.

    Raises:
        WorkflowError: there are no such detectors, there is no such configuration or it is none, or this
            is no number of cores.
    """
    if detectors and not configs.has_detectors(detectors):
        raise WorkflowError(
            f"there are no detectors '{detectors}'; name a data set that detectors were trained on, "
            f"or some that come with the workflow ({', '.join(configs.carried()) or 'it carries none'})."
        )
    if config and not Path(config).is_file():
        raise WorkflowError(
            f"'{config}' is no file; name a configuration such as configs/sartorius.yaml: CONFIG=file"
        )
    if config:
        configs.load(config)
    if cores != "all" and not (cores.isdecimal() and int(cores)):
        raise WorkflowError(f"'{cores}' is no number of cores; give a whole number, or all: CORES=2")


def untrained(file: Path, home: str, config: Path | None) -> str:
    """Return the sentence for a dataset file that names detectors which are not there."""
    command = f"train them (snakemake --configfile {configs.near(config)}), or " if config else ""
    others = ", ".join(["demo", *configs.carried()])
    return f"{file}: the detectors of {home} are not trained; {command}name others there: {others}."


def command(dataset: str, config: Path | None, fitted: bool, cores: str) -> list[str]:
    """Return the Snakemake call; with fitted detectors, one that keeps away from others and needs no lock.

    Such a run writes below results/{dataset} alone, and its name is locked by `locked`.
    """
    call = [
        sys.executable,
        str(configs.ROOT / "workflow" / "stopping.py"),
        "--snakefile",
        str(configs.ROOT / "Snakefile"),
        "--cores",
        cores,
    ]
    call += ["--configfile", str(config)] if config else []
    call += ["--config", f"dataset={dataset}"]
    if fitted:
        call += ["--nolock", "--allowed-rules", *sorted(rules() - FITTING), "--", "all"]
    return call


def rules() -> set[str]:
    """Return the names of the workflow's rules."""
    files = [configs.ROOT / "Snakefile", *(configs.ROOT / "workflow" / "rules").glob("*.smk")]
    return {
        name
        for file in files
        for name in re.findall(r"^(?:rule|checkpoint) (\w+):", file.read_text(), re.MULTILINE)
    }


def locked(dataset: str) -> TextIO:
    """Return an open file whose lock keeps other runs of the name away until it closes or this process ends.

    Raises:
        WorkflowError: another run of the name is at work.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    file = (LOCKS / dataset).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise WorkflowError(
            f"a run named {dataset} is at work; wait for it, or give this one another: NAME=…"
        ) from None
    return file


def unwritten(error: OSError) -> str:
    """Return the sentence for what could not be read or written here."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full, or your share of it; make room, and give the same command again."
    return f"{where}{error.strerror}; give the command in a folder in which you may write."


def say(sentence: str) -> None:
    """Print a sentence at once, so that it stands before what Snakemake prints."""
    print(sentence, flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the flags of a command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, help="the folder of images, with all below it")
    parser.add_argument("--name", default="", help="what to call the run (default: the folder's name)")
    parser.add_argument("--detectors", default="", help="starter, demo, sartorius or any trained data set")
    parser.add_argument("--config", default="", help="a configuration with the ensembles to use")
    parser.add_argument("--cores", default="all", help="cores that may be used (default: all)")
    return parser.parse_args(given)


if __name__ == "__main__":
    try:
        ended = main(**vars(arguments()))
    except WorkflowError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {unwritten(error)}")
    sys.exit(ended)
