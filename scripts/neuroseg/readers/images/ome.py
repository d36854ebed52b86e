"""OME's own words for the planes of one file: which image, time point, depth and channel each page is."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

_HOURS = {
    "d": 24.0,
    "h": 1.0,
    "min": 1 / 60,
    "s": 1 / 3600,
    "ms": 1 / 3.6e6,
    "µs": 1 / 3.6e9,
    "us": 1 / 3.6e9,
}
"""Hours of OME's units of time."""


class Place(NamedTuple):
    """Where a page belongs in its image, each counted from 0."""

    time: int
    depth: int
    channel: int


class Image(NamedTuple):
    """One image (a series, a position) of an OME set, as far as its pages lie in one file.

    Attributes:
        name: what the microscope's program calls it.
        channels: their names, empty where nobody gave one.
        pages: the number of each page in the file.
        hours: of each time point since the first, where the metadata say so.
        told: the attributes of its Pixels, such as PhysicalSizeX.
    """

    name: str
    channels: list[str]
    pages: dict[Place, int]
    hours: dict[int, float]
    told: Mapping[str, str]


_ASIDE = ("label", "macro", "label image", "macro image", "thumbnail", "overview")
"""Images that slide scanners add, in lower case."""


def main_images(text: str, file: Path) -> list[Image]:
    """Return what `images` does without a slide scanner's labels and overviews, unless there is nothing else.

    Raises:
        ValueError: as `images`.
    """
    found = images(text, file)
    return [image for image in found if image.name.strip().lower() not in _ASIDE] or found


def images(text: str, file: Path) -> list[Image]:
    """Return the images whose pages lie in a file; the XML may list the files of a whole set.

    Raises:
        ValueError: the text is no OME-XML, or does not say where the pages are.
    """
    try:
        root = ElementTree.fromstring(text)
        found = [_image(node, root.get("UUID"), file) for node in root if _tag(node) == "Image"]
    except (ElementTree.ParseError, KeyError, TypeError) as error:
        raise ValueError(f"its OME-XML cannot be read ({error})") from error
    return [image for image in found if image.pages]


def _image(node: ElementTree.Element, own: str | None, file: Path) -> Image:
    pixels = next(inner for inner in node if _tag(inner) == "Pixels")
    channels = [inner for inner in pixels if _tag(inner) == "Channel"]
    samples = int(channels[0].get("SamplesPerPixel", "1")) if channels else 1
    sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in "TZC"}
    sizes["C"] = max(1, sizes["C"] // samples)
    order = [axis for axis in pixels.get("DimensionOrder", "XYZCT") if axis in sizes]
    pages: dict[Place, int] = {}
    for block in (inner for inner in pixels if _tag(inner) == "TiffData"):
        for place, page in _block(block, order, sizes, own, file):
            pages[place] = page
    names = [channel.get("Name") or "" for channel in channels]
    return Image(
        node.get("Name") or "",
        names if any(names) else [],
        pages,
        _times(pixels, sizes["T"]),
        dict(pixels.attrib),
    )


def _block(
    block: ElementTree.Element, order: list[str], sizes: Mapping[str, int], own: str | None, file: Path
) -> Iterator[tuple[Place, int]]:
    """Yield the places and page numbers of a TiffData element, none where it speaks of another file."""
    name = next((inner for inner in block if _tag(inner) == "UUID"), None)
    if name is not None and name.get("FileName", file.name) != file.name and (name.text or "").strip() != own:
        return
    first = [int(block.get(f"First{axis}", "0")) for axis in order]
    # the first axis of the order goes fastest
    every = product(*(range(sizes[axis]) for axis in reversed(order)))
    ordered = [dict(zip(reversed(order), place, strict=True)) for place in every]
    start = next(at for at, place in enumerate(ordered) if [place[axis] for axis in order] == first)
    count = block.get("PlaneCount") or ("1" if block.get("IFD") is not None else None)
    page = int(block.get("IFD", "0"))
    for at, place in enumerate(islice(ordered, start, start + int(count) if count else None)):
        yield Place(place["T"], place["Z"], place["C"]), page + at


def _times(pixels: ElementTree.Element, count: int) -> dict[int, float]:
    """Return the hours of each time point since the first, by the planes' own clock or the interval."""
    clock: dict[int, float] = {}
    for plane in (inner for inner in pixels if _tag(inner) == "Plane"):
        unit = _HOURS.get(plane.get("DeltaTUnit", "s"))
        if plane.get("DeltaT") is not None and unit is not None:
            at, hours = int(plane.get("TheT", "0")), float(plane.attrib["DeltaT"]) * unit
            clock[at] = min(hours, clock.get(at, hours))
    if len(clock) == count > 1 and len(set(clock.values())) > 1:
        return {at: hours - clock[min(clock)] for at, hours in clock.items()}
    step, unit = pixels.get("TimeIncrement"), _HOURS.get(pixels.get("TimeIncrementUnit", "s"))
    if step is None or unit is None or not float(step) > 0:
        return {}
    return {at: at * float(step) * unit for at in range(count)}


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]
