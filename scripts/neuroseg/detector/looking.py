"""Every view of every image, window by window, past what finds cells, and back in pixels of the image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from neuroseg.detector.dataset import Load
from neuroseg.detector.progress import clock, say
from neuroseg.detector.tiling import NOTHING, Found, Window, join, windows
from neuroseg.detector.views import View, mirror, show
from neuroseg.tables import FIELD
from neuroseg.threads import in_order


class Look(Protocol):
    """What finds cells, such as a Predictor."""

    iou: float  # boxes of one type that overlap by more are one cell's

    def __call__(self, images: Sequence[np.ndarray], frames: Sequence[tuple[int, int]]) -> list[Found]:
        """Return what is found in equally large images, in pixels of their frames."""


class _Job(NamedTuple):
    """A window of an image, as a view shows it to the network."""

    row: int  # of the image
    name: str  # of the view
    view: View
    window: Window
    last: bool  # of the image and view
    spared: int  # how many windows fewer than its size told the image and view turned out to need
    shown: np.ndarray
    blank: bool  # a part of an image that is all of one grey, where there is nothing to look for


_Looked = tuple[_Job, Found]

_Content = Callable[[Path], tuple[slice, slice]]


def find(
    predictor: Look,
    images: pd.DataFrame,
    views: Mapping[str, View],
    load: Load,
    content: _Content,
    magnified: np.ndarray | None = None,
    batch_size: int = 1,
    threads: int = 1,
) -> Iterator[tuple[int, str, Found]]:
    """Yield what is found in each view of each image, in order: image's row, view's name, detections.

    One image is in memory at a time; of its windows, a few batches.

    Args:
        predictor: Finds cells in equally large images, in pixels of their frames.
        images: Rows of the images table.
        views: By name.
        load: Reads an image.
        content: Tells of an image that was read the rows and columns outside of which it is blank: only these
            are looked at. A network with group normalisation finds more cells where much around them is flat.
        magnified: By how much each image is magnified before the view is shown; None for not at all.
        batch_size: As in `predict`.
        threads: How many batches are computed side by side.
    """
    scales = np.ones(len(images)) if magnified is None else magnified
    looks = {
        name: [view._replace(scale=view.scale * each) for each in scales.tolist()]
        for name, view in views.items()
    }
    sizes = zip(images["height"].astype(int), images["width"].astype(int), strict=True)
    total = sum(
        len(windows(*size, own[row].scale)) for row, size in enumerate(sizes) for own in looks.values()
    )
    batches = _batches(_shown(images, looks, scales != 1, load, content), batch_size)
    looked = chain.from_iterable(in_order(partial(_look, predictor), batches, threads))
    seen: list[tuple[Window, Found]] = []
    for job, found in _timed(looked, len(images), total):
        seen.append((job.window, found))
        if job.last:
            yield job.row, job.name, join(seen, job.view.scale, predictor.iou)
            seen = []


def _shown(
    images: pd.DataFrame,
    looks: Mapping[str, Sequence[View]],
    sharp: np.ndarray,
    load: Load,
    content: _Content,
) -> Iterator[_Job]:
    """Yield every window of every view of every image in order."""
    for row, path in enumerate(map(Path, images["path"])):
        image = load(path)
        rows, columns = content(path)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        for name, views in looks.items():
            view = views[row]
            places = windows(height, width, view.scale, (rows.start, columns.start))
            spared = len(windows(image.shape[0], image.shape[1], view.scale)) - len(places)
            for window in places:
                part, last = window.of(image), window is places[-1]
                blank = len(places) > 1 and part.min() == part.max()
                shown = show(part, view, sharp[row])
                yield _Job(row, name, view, window, last, spared if last else 0, shown, blank)


def _batches(jobs: Iterator[_Job], size: int) -> Iterator[list[_Job]]:
    """Yield jobs in order, equally large neighbours together: up to `size` fields of view, at least one."""
    for (height, width), alike in groupby(jobs, key=lambda job: job.shown.shape):
        most = max(1, size * FIELD // max(FIELD, height * width))
        while batch := list(islice(alike, most)):
            yield batch


def _look(predictor: Look, jobs: Sequence[_Job]) -> list[_Looked]:
    """Return what is found in equally large windows, upright, in pixels of the window."""
    busy = [job for job in jobs if not job.blank]
    seen = iter(predictor([job.shown for job in busy], [job.window.shape for job in busy]) if busy else [])
    return [
        (job, NOTHING if job.blank else _upright(next(seen), job.view, *job.window.shape)) for job in jobs
    ]


def _timed(looked: Iterator[_Looked], images: int, windows: int) -> Iterator[_Looked]:
    """Pass on what was found in so many windows, and say every ten seconds how far it is."""
    began, spoke = 0.0, time.monotonic()
    done = 0
    for job, found in looked:
        yield job, found
        done += 1 + job.spared
        began = began or time.monotonic()  # the first window sets up what the others use
        if (time.monotonic() - spoke > 10 and done > 1) or done == windows:
            spoke = time.monotonic()
            left = (spoke - began) / max(1, done - 1) * (windows - done)
            say(f"image {job.row + 1}/{images}, {clock(left)} left")


def _upright(found: Found, view: View, height: int, width: int) -> Found:
    """Turn the detections of a mirrored image back."""
    x1, y1, x2, y2 = found.boxes.T
    if view.across:
        x1, x2 = width - x2, width - x1
    if view.down:
        y1, y2 = height - y2, height - y1
    return found._replace(boxes=np.column_stack([x1, y1, x2, y2]), patches=mirror(found.patches, view))
