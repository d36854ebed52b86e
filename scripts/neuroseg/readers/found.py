"""Which files below a folder are images to look at, and why others that look like images are passed over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from neuroseg.readers.drawn import REASON, drawn, says_drawn
from neuroseg.readers.images.pixels import SUFFIXES
from neuroseg.readers.words import identity

_NO_FOLDERS = ("@eadir", "#recycle", "@recycle", "__macosx", "thumbnails", "thumbs", "previews")
"""Folders, in lower case, that a NAS, a Mac or a microscope's program fills with previews and leavings."""

_PREVIEW = re.compile(
    r"_thumb([0-9a-f-]*)$|(^|[_. -])(thumb|thumbnail|preview)s?$|^synophoto_", re.IGNORECASE
)
_RESULT = re.compile(
    r"_(cp_masks(_\d+)?|flows|cp_output|cp_outlines|cellprob|dP)$"
    r"|_((pixel |object )?probabilities|(simple )?segmentation|object (predictions|identities)|uncertainty)$",
    re.IGNORECASE,
)
"""How Cellpose and, in the last line, ilastik call what they make of an image."""

TAKEN = "`include` in the dataset file takes it, where it names all images that are wanted"

_FIJI = "open it in Fiji (File > Import > Bio-Formats) and save each image as TIFF"
_SLIDE = "open it in QuPath and export what you need as TIFF (File > Export images)"
_FILM = "save its frames as PNG or TIFF, in Fiji (File > Import > AVI) or by `ffmpeg -i FILM frame_%04d.png`"
_PICTURE = "save it as PNG or TIFF"
_ARRAYS = "what holds arrays is not read as an image: save each image in it as TIFF"
_FOREIGN = {
    **dict.fromkeys((".czi", ".zvi", ".lsm"), f"Zeiss' format is not read: {_FIJI}"),
    **dict.fromkeys((".nd2", ".nd"), f"Nikon's format is not read: {_FIJI}"),
    **dict.fromkeys((".lif", ".xlef", ".lof"), f"Leica's format is not read: {_FIJI}"),
    **dict.fromkeys((".vsi", ".oib", ".oif", ".oir"), f"Olympus' format is not read: {_FIJI}"),
    **dict.fromkeys((".c01", ".flex", ".dv", ".ims", ".sld", ".sldy"), f"this format is not read: {_FIJI}"),
    **dict.fromkeys((".ics", ".dm3", ".dm4", ".mrc", ".dcm", ".r3d"), f"this format is not read: {_FIJI}"),
    **dict.fromkeys((".svs", ".ndpi", ".qptiff", ".scn", ".mrxs"), f"a slide is not read: {_SLIDE}"),
    **dict.fromkeys((".avi", ".mp4", ".mov", ".wmv", ".mkv"), f"a film is not read: {_FILM}"),
    **dict.fromkeys((".gif", ".jp2", ".webp", ".heic", ".avif"), f"this format is not read: {_PICTURE}"),
    **dict.fromkeys((".jxl", ".pgm", ".ppm", ".pnm", ".jfif"), f"this format is not read: {_PICTURE}"),
    **dict.fromkeys((".npy", ".npz", ".h5", ".hdf5", ".mat"), _ARRAYS),
}
"""Formats of images that are not read, and what to do about each."""

_PACKED = (".gz", ".bz2", ".xz", ".zst")


def walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every file below a folder with None, and every folder that is passed over with why.

    Links to folders are followed, but in no circle. Hidden folders are passed over without a word.
    """
    yield from _walk(folder, ())


def images(
    folder: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the images below a folder in the order of their names, and what is passed over, each with why.

    Args:
        folder: the folder.
        include: patterns such as `*_ph.tif` or `day1/*`, of the file's name or its path below the folder;
            where there are any, only files that match one are taken, even those that look like previews or
            results.
        exclude: patterns of files that are not taken.
    """
    taken, passed = [], []
    for path, reason in walk(folder):
        if reason is None and path.name.startswith("."):
            continue
        if reason is None and path.suffix.lower() not in SUFFIXES and foreign(path) is None:
            continue
        reason = reason or _reason(path, path.relative_to(folder).as_posix(), include, exclude)
        if reason is None:
            taken.append(path)
        else:
            passed.append((path, reason))
    labels = set() if include else drawn(taken, folder)
    passed += [(path, f"{REASON} ({TAKEN})") for path in labels]
    return sorted(set(taken) - labels), sorted(passed)


def foreign(path: Path) -> str | None:
    """Return why a file of another program's format is not read, and how to convert it; else None."""
    suffix = path.suffix.lower()
    if suffix in _PACKED and Path(path.stem).suffix.lower() in (*SUFFIXES, *_FOREIGN):
        return f"a packed file is not read: unpack it (such as by `gunzip`), and take the {path.stem} in it"
    return _FOREIGN.get(suffix)


def is_result(name: str) -> bool:
    """Tell whether a file is a program's result by its name without its ending: a_cp_masks, a_flows."""
    return bool(_RESULT.search(name))


def _reason(path: Path, below: str, include: Sequence[str], exclude: Sequence[str]) -> str | None:
    if any(_matches(path.name, below, pattern) for pattern in exclude):
        return "the dataset file excludes it"
    if include and not any(_matches(path.name, below, pattern) for pattern in include):
        return "the dataset file does not include it"
    stem = identity(path)
    if path.suffix.lower() not in SUFFIXES:
        result = is_result(stem) or says_drawn(stem)
        return "by its name it is an earlier result, not an image" if result else foreign(path)
    if include:
        return None
    if _PREVIEW.search(stem):
        return f"by its name it is a preview of another image ({TAKEN})"
    if is_result(stem):
        return f"by its name it is an earlier result, not an image ({TAKEN})"
    return None


def _matches(name: str, below: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(below, pattern)


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[Path, str | None]]:
    try:
        state, entries = folder.stat(), sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield folder, f"the folder cannot be opened ({error.strerror})"
        return
    here = (state.st_dev, state.st_ino)
    if here in above:
        yield folder, "it is a link to a folder that it lies in"
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_file():
            yield path, None
        elif entry.is_dir() and entry.name.lower() in _NO_FOLDERS:
            yield path, "a folder of this name holds previews or leavings, not images"
        elif entry.is_dir() and not entry.name.startswith("."):
            yield from _walk(path, (*above, here))
        elif entry.is_symlink() and not path.exists() and not entry.name.startswith("."):
            yield path, "it is a link to something that is not there"
