"""One field of view: cells settle, their optical thickness adds up, the microscope takes its picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from neuroseg import rle
from neuroseg.simulation import anatomy, drawing, optics
from neuroseg.simulation.kinds import Kind

MARGIN = 30
"""Pixels drawn beyond each side of the frame, so that its border cuts cells as it does in life."""

FRAME = (520, 704)
"""Height and width of the competition's images, for which the numbers of a Kind are meant."""

SMALLEST = 30
"""Least area of an annotated cell, pixels; the real set's smallest mask has 30."""

OUTLINE = 1.4
"""Annotators trace the bright rim: so many pixels outside the edge of the body."""

TRIES = 40
"""Places tried for a cell before the field is held to be full."""


class Field(NamedTuple):
    """A picture and its truth."""

    image: np.ndarray  # (height, width), uint8
    masks: rle.Runs


class _Textures(NamedTuple):
    """Noise of unit spread on the whole canvas, at three scales."""

    grains: np.ndarray
    clumps: np.ndarray
    waves: np.ndarray


class _Cell(NamedTuple):
    body: anatomy.Body
    depth: np.ndarray  # pixels inside the body's edge, within `place`
    mask: np.ndarray
    place: tuple[slice, slice]  # on the canvas


def grow(kind: Kind, cells: int, debris: float, height: int, width: int, rng: np.random.Generator) -> Field:
    """Return a field of `cells` cells (fewer when it is full), with `debris` times the usual debris."""
    shape = tuple(fft.next_fast_len(side + 2 * MARGIN) for side in (height, width))
    share = shape[0] * shape[1] / (FRAME[0] * FRAME[1])
    bands = ((0.4, 1.2), (1.5, 4.0), (4.0, 10.0))
    textures = _Textures(*(_band(rng.standard_normal(shape), *band) for band in bands))
    settled = _settle(kind, cells, height, width, shape, textures, rng)
    dish = 0.003 * textures.clumps  # the coating of the dish
    for _ in range(rng.poisson(kind.spreading * share)):
        drawing.lay_fibre(
            dish, anatomy.stray_fibre(kind, shape, rng), kind.fibre_height * rng.uniform(0.4, 0.8)
        )
    for cell in settled:
        dish[cell.place] += _thickness(cell, textures, rng)
        for fibre in anatomy.fibres(kind, cell.body, rng):
            drawing.lay_fibre(dish, _beyond(cell, fibre), kind.fibre_height)
    floating = np.zeros(shape)
    drawing.lay_spheres(floating, _debris(kind, debris * share, settled, shape, rng))
    microscope = optics.Microscope(
        defocus=rng.normal(0, 1.0), gain=optics.Microscope().gain * rng.uniform(0.8, 1.25)
    )
    picture = optics.photograph(dish, floating, microscope, MARGIN, rng)[:height, :width]
    return Field(np.ascontiguousarray(picture), _truth(settled, height, width))


def _settle(
    kind: Kind,
    cells: int,
    height: int,
    width: int,
    shape: tuple[int, int],
    textures: _Textures,
    rng: np.random.Generator,
) -> list[_Cell]:
    """Find a place for each cell, so that it shows and lies on the others no more than its kind does."""
    taken = np.zeros(shape, bool)
    out: list[_Cell] = []
    for _ in range(cells):
        form = rng.choice(list(kind.forms), p=list(kind.forms.values()))
        area = kind.area[0] * np.exp(kind.area[1] * np.clip(rng.standard_normal(), -2.5, 2.5))
        body = _sized(kind, anatomy.FORMS[form](rng), area)
        for _ in range(TRIES):
            spot = _spot(kind, out, height, width, rng)
            cell = _outlined(kind, anatomy.placed(body, *spot), shape, textures)
            whole, (seen, _, _) = cell.mask.sum(), _framed(cell, height, width)
            under = (cell.mask & taken[cell.place]).sum()
            if seen.sum() >= max(SMALLEST, 0.35 * whole) and under <= kind.overlap * rng.random() * whole:
                taken[cell.place] |= cell.mask
                out.append(cell)
                break
    return out


def _spot(
    kind: Kind, settled: list[_Cell], height: int, width: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return a place and where the first limb points: beside another cell and towards it, or anywhere."""
    if settled and rng.random() < kind.clustered:
        x, y, _ = settled[rng.integers(len(settled))].body.limbs[0][0]
        angle, away = rng.uniform(-np.pi, np.pi), np.sqrt(kind.area[0]) * rng.uniform(0.7, 2.6)
        return x + away * np.cos(angle), y + away * np.sin(angle), angle + np.pi
    return (
        MARGIN + rng.uniform(-4, width + 4),
        MARGIN + rng.uniform(-4, height + 4),
        rng.uniform(-np.pi, np.pi),
    )


def _sized(kind: Kind, body: anatomy.Body, area: float) -> anatomy.Body:
    """Scale a body to its mask's wanted area, learnt by drawing it: twice, since the rim does not grow."""
    for _ in range(2):
        reach = max(np.abs(limb[:, :2]).max() + limb[:, 2].max() for limb in body.limbs) + body.web + 8
        side = int(2 * reach)
        found = _outlined(kind, anatomy.placed(body, side / 2, side / 2, 0.0), (side, side), None).mask.sum()
        body = anatomy.scaled(body, np.sqrt(area * body.size / max(found, 20)))
    return body


def _outlined(kind: Kind, body: anatomy.Body, shape: tuple[int, int], textures: _Textures | None) -> _Cell:
    place = drawing.window(body.limbs, body.web + 4, shape)
    depth = drawing.depth(body.limbs, body.web, place)
    if textures:
        depth = depth + body.rough * textures.waves[place]
    return _Cell(body, depth, drawing.solid(drawing.opened(depth > -OUTLINE, kind.opening)), place)


def _thickness(cell: _Cell, textures: _Textures, rng: np.random.Generator) -> np.ndarray:
    """Return a body's optical thickness in its window, radians: sheet, dome, organelles, nuclei, nucleoli."""
    body, inside = cell.body, np.maximum(cell.depth + 0.5, 0)
    sheet = 1 - np.exp(-((inside / body.edge) ** 2))
    deep = inside / max(inside.max(), 1)
    organelles = 0.7 * textures.grains[cell.place] + 0.5 * textures.clumps[cell.place]
    phase = body.height * sheet * (1 + body.grain * organelles) + body.dome * np.sqrt(
        np.clip(deep * (2 - deep), 0, 1)
    )
    y, x = np.mgrid[cell.place]
    for nx, ny, long, short, angle in body.nuclei:
        u = (x - nx) * np.cos(angle) + (y - ny) * np.sin(angle)
        v = (y - ny) * np.cos(angle) - (x - nx) * np.sin(angle)
        phase += 0.05 * sheet / (1 + np.exp(6 * (np.hypot(u / long, v / short) - 1)))
        for dx, dy in rng.normal(0, 0.4 * short, (rng.integers(1, 4), 2)):
            phase += 0.10 * sheet * np.exp(-((x - nx - dx) ** 2 + (y - ny - dy) ** 2) / 2.2)
    return phase


def _beyond(cell: _Cell, fibre: np.ndarray) -> np.ndarray:
    """Return the part of a fibre outside its own cell, where alone it shows."""
    rows, columns = cell.place
    x, y = (np.rint(fibre[:, 0]) - columns.start).astype(int), (np.rint(fibre[:, 1]) - rows.start).astype(int)
    near = (x >= 0) & (y >= 0) & (x < cell.depth.shape[1]) & (y < cell.depth.shape[0])
    within = np.zeros(len(fibre), bool)
    within[near] = cell.depth[y[near], x[near]] > 1.2
    last = np.flatnonzero(within)
    return fibre[min(last[-1] if last.size else 0, len(fibre) - 2) :]


def _debris(
    kind: Kind, amount: float, settled: list[_Cell], shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return spheres (n, 4: x, y, radius, radians): the dead, burst to blebs, many on the living; grains."""
    out = []
    for x, y in rng.uniform(0, shape[::-1], (rng.poisson(kind.corpses * amount), 2)):
        if settled and rng.random() < kind.sunken:
            x, y = settled[rng.integers(len(settled))].body.limbs[0][0, :2] + rng.normal(0, 9, 2)
        blebs = rng.geometric(0.45)
        for dx, dy in rng.normal(0, 1.3 * np.sqrt(blebs - 0.6), (blebs, 2)):
            radius = rng.uniform(1.2, 2.6)
            out.append((x + dx, y + dy, radius, radius * rng.uniform(0.25, 0.75)))
    for x, y in rng.uniform(0, shape[::-1], (rng.poisson(kind.specks * amount), 2)):
        radius = rng.uniform(0.5, 1.3)
        out.append((x, y, radius, radius * rng.uniform(-0.3, 0.8)))
    return np.array(out, float).reshape(-1, 4)


def _band(noise: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Return noise between two scales (pixels), of unit spread."""
    band = ndimage.gaussian_filter(noise, fine, mode="wrap") - ndimage.gaussian_filter(
        noise, coarse, mode="wrap"
    )
    return band / band.std()


def _framed(cell: _Cell, height: int, width: int) -> tuple[np.ndarray, int, int]:
    """Return the part of a cell's mask within the frame, and that part's left and top there."""
    rows, columns = cell.place
    top, left = max(rows.start, MARGIN), max(columns.start, MARGIN)
    seen = cell.mask[top - rows.start : max(MARGIN + height - rows.start, 0)]
    return seen[:, left - columns.start : max(MARGIN + width - columns.start, 0)], left - MARGIN, top - MARGIN


def _truth(settled: list[_Cell], height: int, width: int) -> rle.Runs:
    """Return the masks as an annotator sees them: cut by the frame, each in one piece, none too small."""
    parts = []
    for cell in settled:
        seen, left, top = _framed(cell, height, width)
        seen = drawing.solid(seen)
        if seen.sum() >= SMALLEST:
            runs = rle.from_masks(seen[None])
            y, x = np.divmod(runs.start, seen.shape[1])
            start = ((y + top) * width + x + left).astype(np.int32)
            parts.append(rle.Runs(runs.ptr, start, runs.length))
    return rle.concatenate(parts)
