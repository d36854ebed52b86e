"""Where the files lie that a name in the configuration stands for, and what a dataset's file says.

A working folder's own `configs/` stands before the workflow's, so that one checkout serves many working
folders.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from workflow.yaml_files import doubled_keys as doubled_keys
from workflow.yaml_files import load as load

ROOT = Path(__file__).parents[1]

NAMED = {"datasets": ("root", str), "ensembles": ("members", dict)}
"""What every file in a folder of configs must hold, and of which kind it is."""

PLAIN = "[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Names of data sets and detectors: each is one folder's name."""

OWN = Path("configs/datasets/own")
"""Dataset files of one's own images, as `make predict` writes them; Git leaves them alone."""

BUNDLED = ROOT / "resources" / "detectors"
"""Fitted detectors kept in the repository, a folder each: model.pth, ensemble.yaml, thresholds.yaml."""


_STUDY: list[str] = []
"""The study that the run names, none or one."""


def choose_study(name: str | None) -> None:
    """Have `file` look for models and ensembles in studies/{name}, too, after `configs/`.

    Raises:
        WorkflowError: there is no such study.
    """
    known = sorted(path.parent.name for path in ROOT.glob("studies/*/README.md"))
    if name is not None and name not in known:
        raise WorkflowError(f"studies/{name} does not exist; there are: {', '.join(known)}.")
    _STUDY[:] = [name] if name else []
    read.cache_clear()


def near(path: Path) -> str:
    """Return a path as commands show it: relative where it is below the working folder, else absolute."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path.as_posix()


def file(folder: str, name: str, suffix: str = ".yaml") -> str:
    """Return the path of a file of `configs/`, or of the chosen study; the error lists those there are.

    Raises:
        WorkflowError: there is no such file.
    """
    candidates = [Path.cwd() / place / f"{name}{suffix}" for place in _places(folder)]
    if folder == "ensembles":
        candidates.append(BUNDLED / name / "ensemble.yaml")
    for path in candidates:
        if path.is_file():
            return near(path)
    there = ", ".join(known(folder, suffix))
    raise WorkflowError(f"configs/{folder}/{name}{suffix} does not exist; there are: {there}.")


def known(folder: str, suffix: str = ".yaml") -> list[str]:
    """Return the names of the files that `file` finds in a folder of `configs/`, or of the chosen study."""
    found = {path.stem for place in _places(folder) for path in place.glob(f"*{suffix}")}
    return sorted(found - {"_base_"})


def _places(folder: str) -> list[Path]:
    """Return where the files of a folder of `configs/` lie, the first to be looked at first."""
    own = [OWN] if folder == "datasets" else []
    studies = [ROOT / "studies" / study / folder for study in _STUDY]
    return [Path("configs") / folder, *own, ROOT / "configs" / folder, *studies]


@cache
def read(folder: str, name: str) -> dict:
    """Return the content of configs/{folder}/{name}.yaml.

    The files are exchanged between people, so they are read as data, of which nothing is run. What they name
    becomes part of paths, so it must be plain.

    Raises:
        WorkflowError: there is no such file, or it does not hold what it must.
    """
    place = file(folder, name)
    content = load(place)
    key, kind = NAMED[folder]
    if not isinstance(content.get(key), kind):
        raise WorkflowError(
            f"{place}: {key} is missing or of another kind; see the other files in configs/{folder}."
        )
    names = content["members"] if folder == "ensembles" else [content.get("detectors") or name]
    plain = "[a-z0-9_]+" if folder == "ensembles" else PLAIN
    for named in names:
        if not (isinstance(named, str) and re.fullmatch(plain, named)):
            raise WorkflowError(f"{place}: {named!r} is no name: use small letters, digits and underscores.")
    odd = _odd(content) if folder == "datasets" else None
    if odd:
        raise WorkflowError(
            f"{place}: {odd} is missing or of another kind; see the other files in configs/{folder}."
        )
    return content


def _odd(content: dict) -> str | None:
    """Return the first key of a dataset file that planning cannot use; its reader says what else is wrong."""
    entries = content.get("annotations", "")
    listed = entries if isinstance(entries, list) else []
    named = all(
        isinstance(entry, dict)
        and isinstance(entry.get("annotations"), str)
        and isinstance(entry.get("images", ""), str)
        for entry in listed
    )
    sound = {
        "root": "\0" not in content["root"],
        "format": isinstance(content.get("format"), str),
        "annotations": named and isinstance(entries, list | str),
        "plate_map": isinstance(content.get("plate_map") or "", str),
    }
    for key in ("images", "test_images", "unlabelled"):
        folders = content.get(key, [])
        sound[key] = isinstance(folders, list) and all(isinstance(name, str) for name in folders)
    return next((key for key, well in sound.items() if not well), None)


def title(dataset: str) -> str:
    """Return what a person calls a dataset: its file's title, else its name."""
    return str(read("datasets", dataset).get("title") or dataset)


def bundled(detectors: str) -> bool:
    """Tell whether detectors of this name travel with the repository."""
    return (BUNDLED / detectors / "model.pth").is_file()


def has_detectors(detectors: str) -> bool:
    """Tell whether detectors of this name come with the workflow, or there is a dataset file of the name."""
    if not re.fullmatch(PLAIN, detectors):
        return False
    if bundled(detectors):
        return True
    try:
        file("datasets", detectors)
    except WorkflowError:
        return False
    return True


def detectors(dataset: str) -> str:
    """Return whose detectors predict a dataset's images: those that its file names, else its own.

    Images without annotation have none of their own: the starter's serve them where the repository carries
    it, else the demo's.

    Raises:
        WorkflowError: the file names detectors that nothing can make.
    """
    content = read("datasets", dataset)
    named = content.get("detectors")
    if named is None:
        without_truth = content.get("format") == "folder"
        return ("starter" if bundled("starter") else "demo") if without_truth else dataset
    if not has_detectors(named):
        raise WorkflowError(
            f"{file('datasets', dataset)}: detectors: {named} is neither a data set nor "
            f"detectors that come with the workflow ({', '.join(carried()) or 'it carries none'})."
        )
    return named


def carried() -> list[str]:
    """Return the names of the detectors that travel with the repository."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/model.pth"))


def fold_names(config: Mapping[str, Any]) -> list[int | str]:
    """Return the names of the folds that a configuration asks for; all holds nothing out."""
    return [*range(config["split"]["n_folds"]), *(["all"] if config["train"]["full"] else [])]


def checkpoint(dataset: str, model: str, fold: int | str) -> str:
    """Return the fitted detector that predicts a dataset's images: trained here, or the workflow's."""
    home = detectors(dataset)
    if bundled(home):
        return near(BUNDLED / home / "model.pth")
    return f"results/{home}/train/{model}/fold_{fold}/model.pth"


def thresholds(dataset: str, ensemble: str) -> str:
    """Return thresholds of a dataset's instances: tuned where its detectors learnt, or brought with them."""
    home = detectors(dataset)
    if bundled(home):
        return near(BUNDLED / home / "thresholds.yaml")
    return f"results/{home}/tune/{ensemble}.yaml"


def unfitted(dataset: str) -> str:
    """Return the pattern of data sets' names, but for what another data set's run takes as it is.

    A run that predicts its images by the detectors of another uses those that are there, and their
    thresholds, whatever its own configuration says of training.
    """
    home, taken = detectors(dataset), []
    if dataset != home:
        place = Path("results", home)
        taken += [path.parent.as_posix() for path in place.glob("train/*/*/model.pth")]
        taken += [path.as_posix() for path in place.glob("tune/*.yaml")]
    others = "|".join(re.escape(path.removeprefix("results/")) for path in sorted(taken))
    return (rf"(?!(?:{others})(?:/|$))" if taken else "") + PLAIN
