"""What cells look like: bodies built of tapered limbs, nuclei, and processes too thin to be annotated.

A limb and a fibre are points (n, 3: x, y, radius) in pixels. A form is a recipe for a body about the origin,
its first limb along the x axis; the recipes' numbers were read off real images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neuroseg.simulation.kinds import Kind


class Body(NamedTuple):
    """One cell before it is drawn."""

    limbs: list[np.ndarray]
    nuclei: np.ndarray  # (n, 5): x, y, half axes, angle
    web: float  # membrane between limbs, pixels
    height: float  # radians of the flat part
    edge: float  # pixels over which the border rises
    dome: float  # radians more in the middle
    grain: float  # share of the height that organelles vary it by
    rough: float  # pixels by which the outline wavers
    size: float = 1.0  # area, relative to its type's


def walk(rng: np.random.Generator, start: np.ndarray, angle: float, length: float, bend: float) -> np.ndarray:
    """Return points (n, 2) every 3 pixels of a path that keeps its direction but for small turns."""
    steps = max(2, round(length / 3))
    turns = np.convolve(rng.normal(0, bend, steps + 2), [0.5, 0.7, 0.5], "valid")
    heading = angle + np.cumsum(turns) - turns[0]
    path = np.stack([np.cos(heading), np.sin(heading)], 1) * (length / steps)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(path, 0)])


def placed(body: Body, x: float, y: float, angle: float) -> Body:
    """Return the body turned by `angle` about the origin and then displaced by (x, y)."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    limbs = [np.column_stack([limb[:, :2] @ turn + (x, y), limb[:, 2]]) for limb in body.limbs]
    nuclei = np.column_stack(
        [body.nuclei[:, :2] @ turn + (x, y), body.nuclei[:, 2:4], body.nuclei[:, 4] + angle]
    )
    return body._replace(limbs=limbs, nuclei=nuclei)


def scaled(body: Body, scale: float) -> Body:
    """Return the body `scale` times as large about the origin."""
    nuclei = body.nuclei * np.array([scale, scale, scale, scale, 1])
    return body._replace(limbs=[limb * scale for limb in body.limbs], nuclei=nuclei, web=body.web * scale)


def fibres(kind: Kind, body: Body, rng: np.random.Generator) -> list[np.ndarray]:
    """Return a cell's thin processes: they go on from pointed limbs, then sprout from its rim; some fork."""
    many, length = kind.fibres
    out = []
    for index in range(rng.poisson(many)):
        limb = body.limbs[index % len(body.limbs)]
        if index < len(body.limbs) and limb[-1, 2] < 2.5:
            root = limb[-1]
            angle = np.arctan2(*(limb[-1, :2] - limb[-3, :2])[::-1])
        else:
            angle = rng.uniform(-np.pi, np.pi)
            root = limb[0] + 0.7 * limb[0, 2] * np.array([np.cos(angle), np.sin(angle), 0])
        path = walk(rng, root[:2], angle, length * rng.lognormal(-0.2, 0.9), kind.bend)
        out.append(_tapered(path, min(root[2], 1.2), rng))
        if rng.random() < 0.35 and len(path) > 6:
            fork = path[rng.integers(3, len(path) - 2)]
            out.append(
                _tapered(walk(rng, fork, angle + rng.choice([-0.7, 0.7]), 0.5 * length, kind.bend), 0.8, rng)
            )
    return out


def stray_fibre(kind: Kind, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a fibre of a cell outside the image that crosses the canvas of `shape`."""
    start = rng.uniform(0, 1, 2) * shape[::-1]
    path = walk(
        rng, start, rng.uniform(-np.pi, np.pi), 3 * kind.fibres[1] * rng.lognormal(0, 0.4), 0.6 * kind.bend
    )
    return _tapered(path, 0.9, rng)


def _tapered(path: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    beads = 1 + 0.25 * (rng.random(len(path)) < 0.12)
    return np.column_stack([path, (radius + (0.38 - radius) * np.linspace(0, 1, len(path)) ** 0.5) * beads])


def _limb(
    rng: np.random.Generator, angle: float, length: float, root: float, tip: float, taper: float, bend: float
) -> np.ndarray:
    path = walk(rng, np.zeros(2), angle, length, bend)
    along = np.linspace(0, 1, len(path))
    return np.column_stack([path, tip + (root - tip) * (1 - along) ** taper])


def _spread(rng: np.random.Generator, count: int | np.integer, jitter: float) -> np.ndarray:
    """Angles of `count` limbs about a cell, the first along the x axis."""
    return 2 * np.pi * np.arange(count) / count + np.append(0, rng.normal(0, jitter, count - 1))


def _nucleus(rng: np.random.Generator, long: float, short: float) -> np.ndarray:
    x, y = rng.normal(0, 0.15 * short, 2)
    return np.array([[x, y, long, short, 0.0]])


def _angular(rng: np.random.Generator) -> Body:
    """A flat polygon, its corners drawn out towards neighbours and its sides concave."""
    root = 6.0
    angles = _spread(rng, rng.choice([2, 3, 3, 4, 5]), 0.45)
    limbs = []
    for angle in angles:
        length = root * rng.uniform(0.8, 1.9) * (1 + 1.3 * np.cos(angle) ** 2)
        limbs.append(_limb(rng, angle, length, root * rng.uniform(0.8, 1), 0.9, 1.1, 0.05))
    return Body(
        limbs,
        _nucleus(rng, 4.6, 3.6),
        web=5.0,
        height=rng.uniform(0.18, 0.28),
        edge=2.2,
        dome=0.10,
        grain=0.2,
        rough=0.6,
    )


def _spindle(rng: np.random.Generator) -> Body:
    """Two limbs in line."""
    root = rng.uniform(4.2, 5.5)
    angles = _spread(rng, 2, 0.25)
    limbs = [_limb(rng, a, root * rng.uniform(2.4, 5), root, 0.9, 1.1, 0.05) for a in angles]
    return Body(
        limbs,
        _nucleus(rng, 5, 3),
        web=2.0,
        height=rng.uniform(0.2, 0.3),
        edge=2.0,
        dome=0.12,
        grain=0.2,
        rough=0.5,
    )


def _rounded(rng: np.random.Generator) -> Body:
    """A cell about to divide, or dying: a ball that bends light by far more."""
    limbs = [_limb(rng, 0.0, rng.uniform(1.5, 4), 7, 5.8, 1, 0.0)]
    return Body(
        limbs, np.zeros((0, 5)), web=0.0, height=0.15, edge=2.0, dome=1.1, grain=0.5, rough=0.7, size=0.65
    )


def _bipolar(rng: np.random.Generator) -> Body:
    """A long thin cell; now and then an end splays into a foot."""
    root = rng.uniform(4.2, 6.2)
    angles = _spread(rng, rng.choice([2, 2, 2, 2, 2, 2, 3]), 0.25)
    limbs = [_limb(rng, a, rng.uniform(20, 58), root, rng.uniform(0.5, 1.2), 1.6, 0.05) for a in angles]
    if rng.random() < 0.25:
        end = limbs[0][-1]
        toe = _limb(rng, rng.choice([-0.6, 0.6]), rng.uniform(5, 12), 2.2, 0.9, 1, 0.1)
        limbs.append(toe + np.array([end[0], end[1], 0]))
    return Body(
        limbs,
        _nucleus(rng, 6, 3.2),
        web=2.0,
        height=rng.uniform(0.24, 0.42),
        edge=1.8,
        dome=0.25,
        grain=0.2,
        rough=0.6,
    )


def _stellate(rng: np.random.Generator) -> Body:
    """Several arms, some of them branching."""
    angles = _spread(rng, rng.integers(3, 7), 0.35)
    limbs = [
        _limb(rng, a, rng.uniform(14, 42), rng.uniform(4.5, 6), rng.uniform(0.7, 1.2), 1.8, 0.08)
        for a in angles
    ]
    for limb, angle in zip(limbs[:], angles, strict=True):
        if rng.random() < 0.4:
            knee = limb[len(limb) // 2]
            branch = _limb(rng, angle + rng.choice([-0.8, 0.8]), rng.uniform(8, 16), knee[2], 0.9, 1, 0.08)
            limbs.append(branch + np.array([knee[0], knee[1], 0]))
    return Body(
        limbs,
        _nucleus(rng, 4.2, 3.6),
        web=3.5,
        height=rng.uniform(0.24, 0.38),
        edge=1.8,
        dome=0.25,
        grain=0.2,
        rough=0.6,
    )


def _flat(rng: np.random.Generator) -> Body:
    """A spread sheet, nearly invisible but for its ruffled edge, its nucleus and its grains."""
    angles = _spread(rng, rng.integers(3, 6), 0.4)
    limbs = [
        _limb(rng, a, rng.uniform(14, 40), rng.uniform(8, 11), rng.uniform(1.5, 4), 1.0, 0.07) for a in angles
    ]
    return Body(
        limbs,
        _nucleus(rng, 7, 5.2),
        web=11.0,
        height=rng.uniform(0.09, 0.14),
        edge=1.6,
        dome=0.03,
        grain=0.22,
        rough=1.4,
        size=2.5,
    )


def _soma(rng: np.random.Generator) -> Body:
    """A neuron's round body, drawn out a little where its processes leave."""
    root = 8.0
    angles = _spread(rng, rng.integers(2, 5), 0.6)
    limbs = []
    for angle in angles:
        length = root * rng.uniform(0.6, 1.3) * (1 + 0.7 * np.cos(angle) ** 2)
        limbs.append(_limb(rng, angle, length, root * rng.uniform(0.8, 1), 1.6, 0.8, 0.0))
    return Body(
        limbs,
        _nucleus(rng, 4.6, 4.2),
        web=3.0,
        height=rng.uniform(0.2, 0.3),
        edge=2.0,
        dome=0.35,
        grain=0.20,
        rough=0.5,
    )


FORMS: dict[str, Callable[[np.random.Generator], Body]] = {
    "angular": _angular,
    "spindle": _spindle,
    "rounded": _rounded,
    "bipolar": _bipolar,
    "stellate": _stellate,
    "flat": _flat,
    "soma": _soma,
}
