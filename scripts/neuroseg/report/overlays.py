"""Truth and prediction on the image: who was hit, who was missed, who was invented; in full and close up."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from contourpy import contour_generator
from markupsafe import Markup, escape
from matplotlib.image import imsave
from scipy.optimize import linear_sum_assignment

from neuroseg import rle

HIT = 0.5
"""A prediction hits a true cell when their IoU is greater than this."""

LONGEST = 1408
"""Pixels of an image's long side in the page; a larger one is thinned out, its outlines are not."""

CROWD = 500
"""Cells of one kind beyond which an overlay draws them as one path, without a tooltip each."""


class Match(NamedTuple):
    """Partners of an image's masks, one to one: their index or -1, and each prediction's IoU with it or 0."""

    of_truth: np.ndarray
    of_found: np.ndarray
    iou: np.ndarray


class Overlay(NamedTuple):
    """One image for the page: two pictures, and the counts beneath."""

    image_id: str
    whole: Markup
    closeup: Markup
    aspect: float
    scored: bool
    matched: int
    missed: int
    spurious: int


def match(truth: rle.Runs, found: rle.Runs, width: int) -> Match:
    """Pair masks of a frame of that width so that as many as possible are hit, at the highest IoU."""
    one, other, shared, union = rle.overlaps_of_runs(truth, found, width)
    iou = np.zeros((len(truth), len(found)))
    iou[one, other] = shared / union
    worth = (iou > HIT) * (len(truth) + 1 + iou)  # one hit more outweighs any IoU
    rows, columns = linear_sum_assignment(worth, maximize=True)
    hits = worth[rows, columns] > 0
    rows, columns = rows[hits], columns[hits]
    of_truth, of_found = np.full(len(truth), -1), np.full(len(found), -1)
    of_truth[rows], of_found[columns] = columns, rows
    best = np.zeros(len(found))
    best[columns] = iou[rows, columns]
    return Match(of_truth, of_found, best)


def overlay(
    image_id: str,
    pixels: np.ndarray,
    truth: rle.Runs | None,
    found: rle.Runs,
    scores: np.ndarray,
    key: str,
) -> Overlay:
    """Draw outlines upon an image.

    Args:
        image_id: for the alternative text.
        pixels: shape (height, width), any integer or float type.
        truth: the true masks, or None where nobody annotated.
        found: the predicted masks.
        scores: of the predictions.
        key: the drawing's id on the page, so that the close-up may reuse it.

    Returns:
        Pictures as inline SVG: the image as embedded WebP, outlines as paths between the pixels.
    """
    height, width = pixels.shape
    layers, (matched, missed, spurious) = _layers(truth, found, scores, height, width)
    x, y, side = _busiest(truth, found, height, width)
    told = (
        f"{matched} cells matched, {missed} missed, {spurious} spurious"
        if truth is not None
        else f"{len(found)} cells"
    )
    drawing = Markup(
        '<g id="{}"><image width="{}" height="{}" preserveAspectRatio="none" href="{}"/>{}</g>'
    ).format(key, width, height, _picture(pixels), layers)
    frame = Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(x, y, side, side)
    whole = _svg(f"0 0 {width} {height}", f"Image {image_id} with outlines: {told}", drawing + frame)
    again = Markup('<use href="#{}"/>').format(key)
    closeup = _svg(f"{x} {y} {side} {side}", f"Close-up of image {image_id}, its busiest part", again)
    return Overlay(image_id, whole, closeup, width / height, truth is not None, matched, missed, spurious)


def outline(mask: np.ndarray, left: int, top: int) -> str:
    """Return the edges of a mask as SVG path data in half pixels of the frame, holes and pieces included.

    The line runs between the pixels and cuts corners; a long one keeps every other point, and is at most a
    pixel off.
    """
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2))
    padded[1:-1, 1:-1] = mask
    parts = []
    for line in contour_generator(z=padded).lines(0.5):
        points = np.round(2 * np.asarray(line)[:-1] + (2 * left - 1, 2 * top - 1)).astype(int)
        if len(points) > 24:
            points = points[::2]
        steps = np.diff(points, axis=0, append=points[:1])
        turns = np.any(steps != np.roll(steps, 1, axis=0), axis=1)
        corners = points[turns]
        moves = " ".join(f"{dx} {dy}" for dx, dy in np.diff(corners, axis=0))
        parts.append(f"M{corners[0, 0]} {corners[0, 1]}l{moves}z".replace(" -", "-"))
    return "".join(parts)


def _layers(
    truth: rle.Runs | None, found: rle.Runs, scores: np.ndarray, height: int, width: int
) -> tuple[Markup, tuple[int, int, int]]:
    paths = [outline(*rle.crop(found, index, width)) for index in range(len(found))]
    told = [f"score {score:.2f}" if np.isfinite(score) else "no score" for score in scores]
    if truth is None:
        return _group("found", paths, told), (0, 0, 0)
    pairs = match(truth, found, width)
    true_paths = [outline(*rle.crop(truth, index, width)) for index in range(len(truth))]
    hit, found_hit = pairs.of_truth >= 0, pairs.of_found >= 0
    titles = [
        f"IoU {iou:.2f}, {score}" if there else f"no such cell, {score}"
        for iou, score, there in zip(pairs.iou, told, found_hit, strict=True)
    ]
    drawn = (
        _group("hit-truth", _where(true_paths, hit), []),
        _group("hit-found", _where(paths, found_hit), _where(titles, found_hit)),
        _group("spurious", _where(paths, ~found_hit), _where(titles, ~found_hit)),
        _group("missed", _where(true_paths, ~hit), ["missed"] * int((~hit).sum())),
    )
    return Markup("").join(drawn), (int(hit.sum()), int((~hit).sum()), int((~found_hit).sum()))


def _group(kind: str, paths: list[str], titles: list[str]) -> Markup:
    if not paths:
        return Markup("")
    if titles and len(paths) <= CROWD:
        inside = Markup("").join(
            Markup('<path d="{}"><title>{}</title></path>').format(path, title)
            for path, title in zip(paths, titles, strict=True)
        )
    else:
        inside = Markup('<path d="{}"/>').format("".join(paths))
    return Markup('<g class="{}" transform="scale(.5)">{}</g>').format(kind, inside)


def _where(values: list[str], chosen: np.ndarray) -> list[str]:
    return [value for value, wanted in zip(values, chosen, strict=True) if wanted]


def _busiest(truth: rle.Runs | None, found: rle.Runs, height: int, width: int) -> tuple[int, int, int]:
    """Return left, top and side of the square, a third of the frame's short side, with most cells' boxes."""
    every = found if truth is None else rle.concatenate([truth, found])
    left, top, right, bottom = rle.boxes(every, width).T
    side = max(min(height, width) // 3, min(height, width, 96))
    lefts = np.unique(np.linspace(0, width - side, 13).astype(int))
    tops = np.unique(np.linspace(0, height - side, 13).astype(int))
    held = _share_within(top, bottom, tops, side) @ _share_within(left, right, lefts, side).T
    row, column = np.unravel_index(np.argmax(np.round(held, 6)), held.shape)
    return int(lefts[column]), int(tops[row]), side


def _share_within(begin: np.ndarray, end: np.ndarray, windows: np.ndarray, side: int) -> np.ndarray:
    """Return the share of each stretch that lies in each window, shape (windows, stretches)."""
    shared = np.minimum(end, windows[:, None] + side) - np.maximum(begin, windows[:, None])
    return np.clip(shared, 0, None) / (end - begin)


def _picture(pixels: np.ndarray) -> str:
    """Return an image as a data address, its middle 99 % of grey levels stretched over the whole range."""
    step = max(1, -(-max(pixels.shape) // LONGEST))
    grey = pixels[::step, ::step].astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.5))
    buffer = io.BytesIO()
    quality = {"quality": 82, "method": 4}
    imsave(buffer, grey, cmap="gray", vmin=low, vmax=max(high, low + 1), format="webp", pil_kwargs=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _svg(view: str, label: str, content: Markup) -> Markup:
    return Markup('<svg class="overlay" viewBox="{}" role="img" aria-label="{}">{}</svg>').format(
        view, escape(label), content
    )
