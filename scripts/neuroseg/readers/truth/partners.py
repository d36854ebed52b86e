"""Which annotation file belongs to which image: by name, whatever the capitals of its ending."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from neuroseg.readers.dataset import GeoJson, Labels, Rois
from neuroseg.readers.found import foreign, walk
from neuroseg.readers.images.pixels import SUFFIXES
from neuroseg.readers.source import file_name, marked
from neuroseg.readers.words import composed, identity

_Key = tuple[str, str, str]
"""The folder below that of all annotations, the name before the ending, and the ending."""


_GEOJSON = re.compile(rb'"type"\s*:\s*"(Feature(Collection)?|(Multi)?Polygon|GeometryCollection)"')
"""What GeoJSON says of itself, and other JSON does not."""

_START = 4096
"""Bytes at a file's beginning that tell whether it is GeoJSON."""


class Partners:
    """The annotation files of a dataset, found by the names of its images.

    Names are compared in Unicode's composed form (NFC), since a Mac writes `ä` as two characters; endings
    also whatever their capitals.

    Attributes:
        passed: what could not be opened, or is of a format that is not read, and why.
    """

    def __init__(self, dataset: Labels | Rois | GeoJson, endings: Sequence[str]) -> None:
        """List the files below the dataset's `annotations` whose names have one of the endings."""
        self._dataset = dataset
        self._folder = dataset.root / dataset.annotations
        self._endings = endings
        self._files: dict[_Key, list[Path]] = defaultdict(list)
        self._others: list[Path] = []
        self.passed: dict[Path, str] = {}
        for path, reason in walk(self._folder):
            if reason is None and path.name.startswith("."):
                continue
            below = path.relative_to(self._folder).parent
            ends = [ending for ending in endings if ends_in(path.name, ending)]
            for ending in ends:
                self._files[_key(below, path.name[: -len(ending)], ending)].append(path)
            if reason is None and not ends and isinstance(dataset, GeoJson):
                reason = _misnamed(path)
                self._others += [path] if reason is None and path.suffix.lower() == ".json" else []
            reason = reason or (None if ends else foreign(path))
            if reason is not None and self._folder.is_dir():
                self.passed[path] = reason

    def of(self, path: Path, folder: Path, image_id: str) -> list[Path]:
        """Return the annotation files that fit an image, the one to read first.

        They have the image's name, with or without its ending, and lie in the same place below the folder of
        annotations; or they lie in that folder itself and are called by the image's id, here or in a folder
        without annotation, as exports are.
        """
        place = path.relative_to(folder).parent
        names = [place / name for name in dict.fromkeys((identity(path), path.name, path.stem))]
        below = [path.relative_to(base) for base in (folder, self._dataset.root)]
        for known in dict.fromkeys(
            [image_id, *("__".join((*each.parts[:-1], identity(path))) for each in below)]
        ):
            names += [Path(file_name(known)), Path(marked(known))]
        fitting = (
            file
            for name in names
            for ending in self._endings
            for file in self._files.get(_key(name.parent, name.name, ending), [])
        )
        return [file for file in dict.fromkeys(fitting) if file != path]

    def without_image(self, read: Iterable[Path], images: Iterable[Path]) -> list[Path]:
        """Return the annotation files that are none of those read, sorted.

        Where GeoJSON is read, JSON of another kind is among them, unless an image has its name.

        Args:
            read: the files that were read.
            images: what lies among the annotations and is an image.
        """
        known = {*read, *images}
        folders = [(self._dataset.root / name).resolve() for name in self._dataset.images]
        above = any(self._folder.resolve() in folder.parents for folder in folders)
        tagged = [ending for ending in self._endings if not (above and ending in SUFFIXES)]
        names = {composed(identity(image)) for image in images}
        return sorted(
            file
            for file in {file for files in self._files.values() for file in files}
            if file not in known and any(ends_in(file.name, ending) for ending in tagged)
        ) + sorted(file for file in self._others if composed(file.stem) not in names)


def ends_in(name: str, ending: str) -> bool:
    """Return whether a name has more than an ending, and ends in it, whatever the capitals."""
    return len(name) > len(ending) and name[-len(ending) :].lower() == ending.lower()


def _misnamed(path: Path) -> str | None:
    """Return why a file of GeoJSON is not read, and what to do, by its name or its beginning; else None."""
    name = path.name.lower()
    if name.endswith((".geojson.gz", ".geojson.zip")):
        return "packed GeoJSON is not read: unpack it"
    if not name.endswith(".json"):
        return None
    try:
        with path.open("rb") as file:
            found = _GEOJSON.search(file.read(_START))
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return f"it is GeoJSON, which is read from {path.stem}.geojson: rename it" if found else None


def _key(below: Path, name: str, ending: str) -> _Key:
    return composed(below.as_posix()), composed(name), ending
