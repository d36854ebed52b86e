"""A folder of one's own images as a dataset: its name, its file, and the detectors that find its cells."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from workflow import configs, listing, mistakes, plan

WORDS = {"true", "false", "yes", "no", "on", "off", "null", "none", "nan", "inf", "infinity", "own"}
"""Names that YAML, Snakemake's command line or the folder of dataset files would take for something else."""

LONGEST = 100
"""Characters of a folder's name that are kept in a dataset's."""

RUNS = ("sartorius.yaml", "sartorius_cpu.yaml", "pipeline.yaml")
"""Configurations whose detectors are looked for, the best first; others of configs/ come after them."""


def identifier(title: str) -> str:
    """Return a dataset's name for what a person calls it: letters, digits, dots, hyphens and underscores.

    Equal titles give equal names; different ones may too, which the dataset file's root tells apart. A long
    one is cut, as files and folders get it with more around it, and end at 255 bytes.
    """
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("_.-")
    digest = hashlib.sha256(title.encode(errors="surrogateescape")).hexdigest()[:8]
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}_{digest}"
    if not name:
        return f"images_{digest}"
    return name if name[0].isalpha() and name.lower() not in WORDS else f"images_{name}"


def images_of(folder: str) -> Path:
    """Return the folder's full path.

    Raises:
        WorkflowError: there is no such folder, it may not be read, there is no image below it, or its path
            is not UTF-8.
    """
    path = Path(folder).expanduser().resolve()
    plain = str(path).encode(errors="backslashreplace").decode()
    if plain != str(path):
        raise WorkflowError(f"{plain}: the path is not UTF-8, and no table can hold it; rename the folder.")
    if not folder:
        raise WorkflowError('name the folder of your images: make predict IMAGES="My folder"')
    try:
        if path.is_file():
            raise WorkflowError(
                f"'{folder}' is a file; name the folder that it is in: make predict IMAGES=\"{path.parent}\""
            )
        if not path.is_dir():
            raise WorkflowError(
                f"'{folder}' is no folder; name the folder of your images: make predict IMAGES=folder"
            )
        os.listdir(path)  # noqa: PTH208 - raises at once
    except PermissionError:
        raise WorkflowError(
            f"{path}: you have no right to open this folder; ask its owner for it, or copy the images to "
            "where you have."
        ) from None
    if not any(name.lower().endswith(listing.SUFFIXES) for name in listing.survey(path, ["."], [])[0]):
        raise WorkflowError(
            f"{path} holds no image; PNG, TIFF and JPEG files are read ({', '.join(listing.SUFFIXES)}), "
            "in the folder itself or in folders below it."
        )
    return path


def dataset_file(name: str, title: str, folder: Path, detectors: str) -> Path:
    """Return the dataset file of a folder of images; the first call writes it, for a person to edit.

    Raises:
        WorkflowError: the name is another folder's, or the file names other detectors than those asked for.
    """
    try:
        path = Path(configs.file("datasets", name))
    except WorkflowError:
        path = configs.OWN / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        listing.replace(path, _text(title, folder, detectors or chosen_detectors()))
        return path
    content = configs.read("datasets", name)
    if Path(content.get("root", "")).expanduser().resolve() != folder:
        raise WorkflowError(
            f"the name {name} is taken: {path} is about {content.get('root')}, not {folder}; "
            f"give this run another name (NAME=…) or, if the folder was moved, correct root in {path}."
        )
    if detectors and content.get("detectors") != detectors:
        raise WorkflowError(
            f"{path} names the detectors {content.get('detectors')}, not {detectors}; edit the file, "
            "or give this run another name: NAME=…"
        )
    return path


def chosen_detectors() -> str:
    """Return whose detectors apply if nobody says: trained on real images, the starter's, or the demo's."""
    found = (_config(path)["dataset"] for path in configurations() if is_fitted(path))
    return next(
        (home for home in found if home != "demo"), "starter" if configs.bundled("starter") else "demo"
    )


def is_fitted(path: Path) -> bool:
    """Tell if all that a configuration's run leaves for others is there; not if it names what is missing."""
    try:
        return all(Path(file).is_file() for file in fitted(_config(path)))
    except WorkflowError:
        return False


def configurations() -> list[Path]:
    """Return the configurations of the working folder and the workflow, the best detectors' first."""
    folders = list(dict.fromkeys([Path("configs").resolve(), configs.ROOT / "configs"]))
    found = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return sorted(found, key=lambda path: RUNS.index(path.name) if path.name in RUNS else len(RUNS))


def configuration(detectors: str) -> tuple[Path | None, bool]:
    """Return the configuration whose ensembles use these detectors, and whether all of them are fitted.

    A configuration that is fitted comes first. Detectors that the workflow brings need none.
    """
    if configs.bundled(detectors):
        return None, True
    candidates = [path for path in configurations() if _config(path)["dataset"] == detectors]
    for path in candidates:
        if is_fitted(path):
            return path, True
    return (candidates[0] if candidates else None), False


def fitted(config: dict) -> list[str]:
    """Return what a configuration's run leaves for other datasets: its detectors and its thresholds."""
    folds: Sequence[int | str] = [
        *range(config["split"]["n_folds"]),
        *(["all"] if config["train"]["full"] else []),
    ]
    home, names = config["dataset"], config["ensembles"]
    return [
        *(
            configs.checkpoint(home, model, fold)
            for model in plan.models(names)
            for fold in plan.folds(home, folds)
        ),
        *(configs.thresholds(home, ensemble) for ensemble in names),
    ]


def _config(path: Path) -> dict:
    config = configs.load(mistakes.DEFAULTS)
    update_config(config, configs.load(path))
    return config


def _text(title: str, folder: Path, detectors: str) -> str:
    """Return the dataset file; JSON's way to write text is one of YAML's: any name comes back whole."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    return f"""\
# Written by `make predict` for you to edit; the next run of the same name takes what stands here.
title: {quoted(title)}
format: folder
root: {quoted(str(folder))}

# Whose detectors find the cells: starter, demo, sartorius or any data set that detectors were trained on.
detectors: {detectors}

# If you know it: micrometres per pixel. OME-TIFF, and TIFF with a resolution, say it by themselves.
# pixel_size_um: 0.65

# If halos are dark, as in negative phase contrast or where white is stored as 0, exchange black and white:
# invert: true

# If names tell of the experiment, say how; groups: cell_type, sample, plate, well, field, time and treatment.
# pattern: '(?P<plate>[^_]+)_(?P<well>[A-P]\\d+)_(?P<time>\\d+h)'
# plate_map: plate_map.csv      # or .xlsx: columns well, treatment, and plate if several, or the plate's form
# control: untreated            # the treatment that others are compared with, where its name does not say so
"""
