"""Files of several images: time points and positions become images, depth is projected, a channel is chosen.

An image within a file is named by the file's path and what is after `::`: `a.tif::s2,t3,c1,zmax` is the third
time point of the second series, its first channel, the highest value at all depths. Numbers count from 1, as
Fiji shows. `::inverted` at the end says that black and white are exchanged, `::inverted4095` what white is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from neuroseg.errors import DataError
from neuroseg.readers.images.grey import GreyError
from neuroseg.readers.images.series import Series, page_of, planes, series_of
from neuroseg.readers.plates.presets import phase_of

_MARK = re.compile(
    r"(?P<file>.+)::s(?P<series>\d+),t(?P<time>\d+),c(?P<channel>\d+),z(?P<depth>\d+|max|mean|focus)"
    r"(,p(?P<pages>\w+))?",
    re.DOTALL,  # a name may hold line breaks
)

INVERTED = "::inverted"
"""The end of a path whose image is turned over when it is read, as the dataset file asks; the value of white
may follow."""

_TURNED = re.compile(rf"(?P<stored>.+){INVERTED}(?P<white>\d*)", re.DOTALL)


class Spec(NamedTuple):
    """One image of a file, counted from 1.

    Attributes:
        series: its number.
        time: its time point.
        channel: its channel.
        depth: the number of one, or max, mean or focus.
        pages: what the pages of a file are that does not say it; empty where it does.
    """

    series: int
    time: int
    channel: int
    depth: str
    pages: str = ""


class Place(NamedTuple):
    """Where an image is in which file, and whether it is turned over.

    Attributes:
        file: the file.
        spec: which of its images, None if the only one.
        white: the value that becomes 0 as the image is turned over, 0 for the highest that its type holds;
            None if it is not.
    """

    file: Path
    spec: Spec | None
    white: int | None = None


class Part(NamedTuple):
    """One image of a file.

    Attributes:
        spec: where it is; None if it is the only one.
        label: what tells it apart there, for its id.
        series: its series' name.
        hours: since the first time point, where the file says so.
        frames: how many time points its series has.
    """

    spec: Spec | None
    label: str
    series: str
    hours: float | None
    frames: int = 1


class Choice(NamedTuple):
    """What a dataset file says of stacks: how depth becomes a plane, channel, and what unnamed pages are."""

    z: str | None = None
    channel: str | None = None
    pages: str | None = None


def marked(file: Path, spec: Spec | None) -> str:
    """Return the path of an image within a file."""
    if spec is None:
        return str(file)
    place = f"{file}::s{spec.series},t{spec.time},c{spec.channel},z{spec.depth}"
    return f"{place},p{spec.pages}" if spec.pages else place


def located(path: str | Path) -> Place:
    """Return where an image is, of the path that a table names it by."""
    turned = _turned(str(path))
    white = int(turned["white"] or 0) if turned else None
    stored = Path(turned["stored"] if turned else path)
    match = None if stored.is_file() else _MARK.fullmatch(str(stored))
    if match is None:
        return Place(stored, None, white)
    series, time, channel = (int(match[name]) for name in ("series", "time", "channel"))
    spec = Spec(series, time, channel, match["depth"], match["pages"] or "")
    return Place(Path(match["file"]), spec, white)


def without_white(path: str) -> str:
    """Return the path of an image without the word that it is turned over, as people know it."""
    turned = _turned(path)
    return turned["stored"] if turned else path


def _turned(path: str) -> re.Match[str] | None:
    """Return the parts of a path that says that its image is turned over, None if it does not."""
    return None if Path(path).is_file() else _TURNED.fullmatch(path)


def parts(file: tifffile.TiffFile, path: Path, choice: Choice) -> list[Part]:
    """Return the images of a file that holds several.

    Raises:
        GreyError: what the pages are, which channel, or how depth becomes one plane is not said.
        DataError: the dataset file names a channel or a depth that is not there.
    """
    every = series_of(file, path, choice.pages)
    reasons = [reason for series in every for reason in _open_questions(series, choice)]
    if reasons:
        raise GreyError("image_channels", reasons[0])
    found = []
    for number, series in enumerate(every, 1):
        channel = _channel(series, choice, path)
        times = sorted({place.time for place in series.pages})
        digits = len(str(max(times) + 1))
        name = _distinct(series.name, number, [one.name for one in every])
        for time in times:
            words = [name] * (len(every) > 1) + [f"t{time + 1:0{digits}d}"] * (len(times) > 1)
            pages = choice.pages if series.whole and not set(series.whole.axes) <= set("TZCYXS") else None
            spec = Spec(number, time + 1, channel + 1, _depth(series, choice, path), pages or "")
            since = series.hours.get(time) if len(series.hours) > 1 else None  # one alone has no interval
            found.append(Part(spec, "__".join(words), series.name, since, len(times)))
    return found


class Depths(NamedTuple):
    """The planes of which one image of a file is made.

    Attributes:
        planes: their samples, read one after the other.
        page: a page that tells what the samples mean.
        axes: their axes.
        how: how they become one plane: `depths.projected`.
    """

    planes: Iterator[np.ndarray]
    page: tifffile.TiffPage
    axes: str
    how: str


def depths_of(file: tifffile.TiffFile, path: Path, spec: Spec, inverted: bool = False) -> Depths:
    """Return the planes of one image of a file.

    Args:
        file: The file, open.
        path: Its path.
        spec: Which of its images.
        inverted: Whether the image will be turned over: the highest value at all depths is the lowest then.

    Raises:
        GreyError: the file holds no such image (any more).
    """
    every = series_of(file, path, spec.pages or None)
    series = every[spec.series - 1] if 0 < spec.series <= len(every) else None
    pages = series.pages.items() if series else ()
    at = {p.depth: number for p, number in pages if (p.time + 1, p.channel + 1) == spec[1:3]}
    wanted = [int(spec.depth) - 1] if spec.depth.isdecimal() else sorted(at)
    if series is None or not wanted or not set(wanted) <= at.keys():
        raise GreyError("image_channels", "has changed since it was listed, validate the images again")
    numbers = [at[depth] for depth in wanted]
    page, axes = page_of(file, series, numbers[0])
    how = "min" if spec.depth == "max" and inverted else spec.depth
    return Depths(planes(file, series, numbers), page, axes, how)


def _open_questions(series: Series, choice: Choice) -> list[str]:
    """Return what a dataset file must say of a series before it is read."""
    channels = {place.channel for place in series.pages}
    depths = {place.depth for place in series.pages}
    reasons = []
    if len(channels) > 1 and choice.channel is None and phase_of(series.channels) is None:
        reasons.append(
            f"holds {len(channels)} channels ({_names(series) or 'without names'}): "
            "say with `channel` in the dataset file which one is phase contrast, by its name or number"
        )
    if len(depths) > 1 and choice.z is None:
        reasons.append(
            f"is a stack of {len(depths)} depths: say with `z` in the dataset file how they become one image "
            "(max, mean, focus, or the number of one)"
        )
    return reasons


def _names(series: Series) -> str:
    return ", ".join(name or "?" for name in series.channels)


def _channel(series: Series, choice: Choice, path: Path) -> int:
    """Return the channel that is used, counted from 0."""
    there = sorted({place.channel for place in series.pages})
    if len(there) == 1:
        return there[0]
    if choice.channel is None:
        phase = phase_of(series.channels)
        assert phase is not None  # else it was asked for
        return phase
    names = [name.casefold() for name in series.channels]
    if names.count(choice.channel.casefold()) == 1:
        return names.index(choice.channel.casefold())
    if choice.channel.isdecimal() and int(choice.channel) - 1 in there:
        return int(choice.channel) - 1
    known = _names(series) or ", ".join(str(at + 1) for at in there)
    raise DataError(
        f"{path}: its channels are {known}; correct `channel: {choice.channel}` in the dataset file."
    )


def _depth(series: Series, choice: Choice, path: Path) -> str:
    there = sorted({place.depth for place in series.pages})
    if len(there) == 1:
        return str(there[0] + 1)
    if choice.z is not None and choice.z.isdecimal() and int(choice.z) - 1 not in there:
        raise DataError(f"{path}: it holds {len(there)} depths; correct `z: {choice.z}` in the dataset file.")
    return str(choice.z)


def _distinct(name: str, number: int, names: Sequence[str]) -> str:
    plain = re.sub(r"\s+", "_", name.strip())
    if not plain:
        return f"s{number}"
    return plain if list(names).count(name) == 1 else f"{plain}_{number}"
