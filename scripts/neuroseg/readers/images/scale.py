"""How many micrometres a pixel of the specimen is, as the file or the microscope's index beside it says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import tifffile

from neuroseg.readers.images import ome
from neuroseg.readers.plates.presets import OPERETTA

_PLAUSIBLE = (0.05, 10.0)
"""Micrometres that a pixel of cells in culture has: from a 100x lens with oil to a scanner."""

_CAMERA = 3.4
"""A resolution without a microscope's words is, from here on, a camera's pixel pitch (3.45, 6.45, ...)."""

_ALIKE = 0.01
"""Sizes that differ by no larger share are the same."""

_NIKON = 65326
"""NIS-Elements keeps micrometres per pixel in this tag."""

_MICROMETRES = {
    **dict.fromkeys(
        ("µm", "um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"), 1.0
    ),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 1e4),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e6),
    **dict.fromkeys(("in", "inch", "inches", '"'), 25_400.0),
    **{"pm": 1e-6, "fm": 1e-9, "am": 1e-12, "zm": 1e-15, "ym": 1e-18, "å": 1e-4, "angstrom": 1e-4},
    **{
        "dm": 1e5,
        "dam": 1e7,
        "hm": 1e8,
        "km": 1e9,
        "thou": 25.4,
        "li": 25_400 / 12,
        "ft": 304_800.0,
        "yd": 914_400.0,
    },
    **{"mi": 1_609_344e3, "pt": 25_400 / 72},
}
"""OME's units of length and those that people write in Fiji; OME's capitals (Mm, Pm) are never a pixel's."""

_CAPITALS = frozenset(("Ym", "Zm", "Em", "Pm", "Tm", "Gm", "Mm"))
_OPERETTA = re.compile(OPERETTA, re.IGNORECASE)
_INDICES = ("Index.idx.xml", "Index.ref.xml", "Index.xml")


class Scale(NamedTuple):
    """Micrometres per pixel, None if unknown, and what is wrong with what the file says, None if nothing."""

    micrometres: float | None
    note: str | None


def tiff_scale(file: tifffile.TiffFile, path: Path, series: int = 1) -> Scale:
    """Return the scale from Operetta, OME, MetaXpress, Nikon, ImageJ or TIFF's own resolution, in that order.

    Of an OME-TIFF it is that of the series, counted from 1. A note says where the resolution differs.

    An Operetta's own resolution tag is its camera's, so its images have a scale by its index or none.
    """
    if _OPERETTA.match(path.name):
        side = _index_side(path.parent)
        if side is not None:
            return _judged(side, side)
        return Scale(None, "comes from an Operetta, whose Index.xml with the pixel size is not beside it")
    page = file.pages.first
    if file.is_ome:
        sides = _ome_sides(file.ome_metadata or "", path, series)
    elif page.description.lstrip().startswith("<MetaData>"):
        sides = _metaxpress_sides(page.description)
    elif _NIKON in page.tags:
        value = page.tags[_NIKON].value
        sides = (value, value) if isinstance(value, float) else None
    elif file.is_imagej and _unit(file) is not None:
        sides = _tag_sides(page, _unit(file))
    else:
        sides = _tag_sides(page, None)
        if sides is not None and _CAMERA < sides[0] <= _PLAUSIBLE[1]:
            return Scale(
                None, f"states a resolution of {sides[0]:.4g} µm a pixel, which is rather a camera's pixel"
            )
    if sides is None:
        return Scale(None, None)
    found, own = _judged(*sides), _own(file, path)
    if found.micrometres is None or own is None or abs(own / found.micrometres - 1) <= _ALIKE:
        return found
    return Scale(
        found.micrometres,
        f"states {found.micrometres:.4g} µm a pixel in its metadata, which is taken, "
        f"and {own:.4g} µm in its resolution tag",
    )


def _own(file: tifffile.TiffFile, path: Path) -> float | None:
    """Return the specimen's micrometres by a TIFF's resolution tag beside other words, None if not told."""
    sides = None if file.is_imagej else _tag_sides(file.pages.first, None)
    if sides is None or sides[0] > _CAMERA:
        return None
    if file.is_ome:
        try:
            told = {_physical(image.told) for image in ome.main_images(file.ome_metadata or "", path)}
        except ValueError:
            return None
        if len(told) > 1:  # the tag is that of one series
            return None
    return _judged(*sides).micrometres


def unlikely(side: float | None) -> str | None:
    """Return a sentence on a pixel size in µm that a person states and no image of cells has, else None."""
    low, high = _PLAUSIBLE
    if side is None or low <= side <= high:
        return None
    unit, own = ("nanometres", side / 1000) if side > high else ("millimetres", side * 1000)
    cure = f": if it is in {unit}, write {own:.4g}" if low <= own <= high else ""
    return (
        f"`pixel_size_um: {side:g}` is used, and no microscope's image of cells has pixels of so many µm "
        f"({low:g} to {high:g}){cure}"
    )


def micrometres(unit: str) -> float | None:
    """Return the micrometres of a unit of length as OME, Fiji or a person writes it, None if it is none."""
    text = re.sub(r"\\u00b5", "µ", unit.strip(), flags=re.IGNORECASE).replace("μ", "µ").replace("Â", "")
    if text in _CAPITALS:
        return None
    return _MICROMETRES.get(text.lower().rstrip("."))


def _judged(x: float, y: float) -> Scale:
    low, high = _PLAUSIBLE
    if not (x > 0 and y > 0):
        return Scale(None, None)
    if not (low <= x <= high and low <= y <= high):
        return Scale(
            None, f"states {x:.4g} µm a pixel, which no microscope's image of cells has ({low:g} to {high:g})"
        )
    if abs(x / y - 1) > _ALIKE:
        return Scale(None, f"states pixels that are not square ({x:.4g} x {y:.4g} µm)")
    return Scale(round(x, 9), None)


def _ome_sides(text: str, path: Path, series: int) -> tuple[float, float] | None:
    try:
        found = [image.told for image in ome.main_images(text, path)]
    except ValueError:
        found = []
    if len(found) >= series:
        return _physical(found[series - 1])
    try:
        nodes = ElementTree.fromstring(text).iter()
        every = {_physical(node.attrib) for node in nodes if node.tag.endswith("}Pixels")}
    except ElementTree.ParseError:
        return None
    return every.pop() if len(every) == 1 else None  # which one is meant cannot be told


def _physical(told: Mapping[str, str]) -> tuple[float, float] | None:
    """Return width and height of a pixel in micrometres from the attributes of OME's Pixels."""
    try:
        x, y = (
            float(told[f"PhysicalSize{axis}"]) * (micrometres(told.get(f"PhysicalSize{axis}Unit", "µm")) or 0)
            for axis in "XY"
        )
    except (KeyError, ValueError):
        return None
    return x, y


def _metaxpress_sides(text: str) -> tuple[float, float] | None:
    try:
        told = {
            node.get("id", ""): node.get("value", "") for node in ElementTree.fromstring(text).iter("prop")
        }
        if told.get("spatial-calibration-state", "on").lower() in ("off", "false", "0"):
            return None
        unit = micrometres(told.get("spatial-calibration-units", "um")) or 0
        x, y = (float(told[f"spatial-calibration-{axis}"]) * unit for axis in "xy")
    except (ElementTree.ParseError, KeyError, ValueError):
        return None
    return x, y


def _unit(file: tifffile.TiffFile) -> str | None:
    unit = (file.imagej_metadata or {}).get("unit")
    return str(unit) if unit else None


def _tag_sides(page: tifffile.TiffPage, unit: str | None) -> tuple[float, float] | None:
    across, down = page.tags.get("XResolution"), page.tags.get("YResolution")
    if across is None or down is None or 0 in across.value or 0 in down.value:
        return None
    inch_or_cm = {2: 25_400.0, 3: 10_000.0}.get(int(page.tags.valueof("ResolutionUnit", 1)))
    length = inch_or_cm if unit is None else micrometres(unit)
    if length is None:
        return None
    x, y = (length * tag.value[1] / tag.value[0] for tag in (across, down))
    return x, y


def _index_side(folder: Path) -> float | None:
    """Return micrometres per pixel that an Operetta's index beside the images, or one folder up, states."""
    files = (place / name for place in (folder, folder.parent) for name in _INDICES)
    index = next((file for file in files if file.is_file()), None)
    return _resolution(index, index.stat().st_mtime_ns) if index else None


@lru_cache(maxsize=64)
def _resolution(index: Path, _changed: int) -> float | None:
    try:
        for _, node in ElementTree.iterparse(index):
            if node.tag.endswith("ImageResolutionX"):
                return float(node.text or "") * (micrometres(node.get("Unit", "m")) or 0)
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    return None
