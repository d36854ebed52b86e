"""Files of weights: the state of a training under way, and the fitted detector.

Both are read weights-only, so that a file from elsewhere cannot run code, and written beside their place and
moved into it, so that one of that name is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import shutil
import zipfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from neuroseg.detector import archive, foreign
from neuroseg.detector.pretrained import PACKAGED
from neuroseg.detector.progress import say
from neuroseg.errors import DataError
from neuroseg.files import replacing
from neuroseg.readers.images.stacks import located

FORMAT = "neuroseg detector 1"
"""Written into each fitted detector; the number changes when its content does."""

ADDRESS = ("http://", "https://")
"""How weights begin that are fetched."""

KEPT = 2
"""States kept of a training: the newest may turn out damaged after a power cut."""


def fingerprint(config: dict, images: pd.DataFrame, instances: pd.DataFrame, **settings: Any) -> str:
    """Return a digest of all that a training's outcome follows from: config, pixels, truth, seed and more."""
    sha = hashlib.sha256(json.dumps([config, settings], sort_keys=True, default=str).encode())
    for image_id, path in zip(images["image_id"], images["path"], strict=True):
        sha.update(f"{image_id}\n".encode())
        file, spec, white = located(path)
        sha.update(digest(file).encode() + (repr(spec).encode() if spec else b""))
        sha.update(b"" if white is None else f"inverted{white}".encode())
    for image_id, cell_type, counts in zip(
        *(instances[c] for c in ("image_id", "cell_type", "rle")), strict=True
    ):
        sha.update(f"{image_id}\n{cell_type}\n".encode() + bytes(counts))
    return sha.hexdigest()


def identity(source: str) -> str:
    """Return what tells weights, as `read_weights` takes them, from others: of a file, its content."""
    return source if source in PACKAGED or source.startswith(ADDRESS) else digest(Path(source))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file; mend the path, or run the stage that writes what names it."
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_state(folder: Path, iteration: int, state: dict) -> None:
    """Write the state of a training after `iteration` iterations, and remove all but its own last few.

    States of other trainings stay until one as long ends well: a setting may have been changed by mistake.
    """
    path = folder / f"iteration_{iteration:08d}{_mark(state['fingerprint'])}"
    _save(state, path)
    # Later ones are damaged, or this training would have gone on from them.
    earlier = [own for own in _states(folder, state["fingerprint"]) if own.name <= path.name]
    for old in earlier[KEPT:]:
        old.unlink(missing_ok=True)


def remove_states(folder: Path, length: int) -> None:
    """Remove what a training has left in its folder, but for trainings that got further than its length."""
    shutil.rmtree(folder / "mmengine", ignore_errors=True)
    trainings = defaultdict(list)
    for path in folder.glob("iteration_*.pth"):
        trainings[path.stem.split("_", 2)[-1]].append(path)
    for states in trainings.values():
        if max(path.name for path in states) < f"iteration_{length + 1:08d}":
            for path in states:
                path.unlink(missing_ok=True)
    with suppress(OSError):  # others are in it
        folder.rmdir()


def newest_state(folder: Path, expected: str) -> dict | None:
    """Return the newest sound state in `folder` with the expected fingerprint, None where there is none.

    The folder's own files count, not a path written into one of them: a work folder may have been moved. A
    damaged state is passed over; where there are states of another training alone, it says so.
    """
    for part in folder.glob(".*.part"):  # a kill while writing
        part.unlink(missing_ok=True)  # another process of the training may have been first
    own = _states(folder, expected)
    for path in own:
        state = _sound(path)
        if isinstance(state, dict) and state.get("fingerprint") == expected:
            return state
        say(f"note: passing over the damaged {path.name}")
    if own:
        say("note: none of this training's states can be read; starting afresh")
    others = sorted(folder.glob("iteration_*.pth"), reverse=True)
    if others and not own:
        say(
            f"note: not resuming from {others[0].name}: it is of another training (model file, data, fold, "
            "seed, precision, length, what it begins with, or device); starting afresh"
        )
    return None


def _states(folder: Path, fingerprint: str) -> list[Path]:
    """Return a training's own states, the newest first."""
    return sorted(folder.glob(f"iteration_*{_mark(fingerprint)}"), reverse=True)


def _mark(fingerprint: str) -> str:
    """Return how the names of a training's states end."""
    return f"_{fingerprint[:12]}.pth"


def write_detector(path: Path, detector: dict) -> None:
    """Write a fitted detector.

    It holds model, classes, fold, precision, pixel_size_um, looks, cells, config and state_dict. The
    pixel size is that of the images learnt from, None where it is unknown; `looks` is what they look like, as
    `intensity.looks.plain` writes it, `cells` what `cells.learnt` returned. Equal content gives equal bytes.
    """
    _save({"format": FORMAT, **detector}, path)


def halved(detector: dict) -> dict:
    """Return a fitted detector whose weights are rounded to half precision; counts stay as they are.

    Raises:
        DataError: a weight is too large for it.
    """
    weights = {
        name: each.half() if each.is_floating_point() else each
        for name, each in detector["state_dict"].items()
    }
    wild = [name for name, each in weights.items() if not each.isfinite().all()]
    if wild:
        raise DataError(
            f"{wild[0]}: this weight is beyond half precision; write the detector in full (train: half)."
        )
    return detector | {"state_dict": weights}


def read_detector(path: Path) -> dict:
    """Return what `write_detector` wrote.

    Raises:
        DataError: the file is missing, damaged, no fitted detector, or one that is not safe to use.
    """
    content = _read(path, own=True)
    if content.get("format") != FORMAT:
        raise DataError(f"{path}: this is no {FORMAT}; train writes one as model.pth.")
    foreign.check_content(content, path)
    return content


def classes(path: Path) -> list[str]:
    """Return the cell types that a fitted detector tells apart.

    Raises:
        DataError: the file is missing, damaged, or no fitted detector.
    """
    return list(read_detector(path)["classes"])


def read_weights(source: str) -> dict[str, torch.Tensor]:
    """Return the weights of a fitted detector, or of any checkpoint with a `state_dict`.

    Args:
        source: A file, an address, or the name of weights that a package brings (`pretrained.PACKAGED`).

    Raises:
        DataError: they cannot be read or fetched.
    """
    if source in PACKAGED:
        return PACKAGED[source]()
    if source.startswith(ADDRESS):
        try:
            content = torch.hub.load_state_dict_from_url(
                source, map_location="cpu", weights_only=True, progress=False
            )
        except Exception as error:  # network, disk and unpickling raise without a common base
            reason = _reason(error) if isinstance(error, pickle.UnpicklingError) else error
            raise DataError(
                f"{source}: the weights cannot be fetched ({reason}); "
                "fetch them elsewhere, and name the file in the model file's load_from."
            ) from error
    else:
        content = _read(Path(source))
    weights = content.get("state_dict", content)
    if not isinstance(weights, dict):
        raise DataError(
            f"{source}: its state_dict is no mapping of names to weights; use another checkpoint."
        )
    weights = {name: weight for name, weight in weights.items() if isinstance(weight, torch.Tensor)}
    archive.check_weights(weights, Path(source))
    return weights


def _save(content: dict, path: Path) -> None:
    """Write a file of weights; PyTorch would write its name into it, and not say that the disk is full."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _read(path: Path, own: bool = False) -> dict:
    if not path.is_file():
        raise DataError(f"{path}: there is no such checkpoint; run the stage that writes it.")
    archive.check_kind(path)
    if own or zipfile.is_zipfile(path):  # OpenMMLab's oldest are no archives and have no checksums
        archive.check_archive(path, own)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises without a common base
        raise DataError(
            f"{path}: this is no checkpoint, or it is damaged or unsafe ({_reason(error)}); give another, or "
            "train it again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: this is no checkpoint; train writes one as model.pth.")
    return content


def _reason(error: Exception) -> str:
    """Say why a pickle was not read; PyTorch's own words advise to read unsafe files all the same."""
    strange = re.search(r"GLOBAL (\S+)", str(error))
    return f"it names {strange[1]}" if strange else "it cannot be read as weights"


def _sound(path: Path) -> dict | None:
    try:
        archive.check_archive(path, own=False)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whatever a damaged file makes them raise
        return None
