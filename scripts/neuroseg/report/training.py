"""Charts of how training went: the loss of every fold, its parts, and the learning rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuroseg.report.drawing import MUTED, SERIES, colours, draw, panel

POINTS = 160
"""Points of a training curve: each is the mean of as many iterations as it takes."""


def training_charts(runs: Sequence[dict]) -> list[tuple[str, Markup, Markup]]:
    """Return each model's name, loss and learning rate by fold, and its loss's parts, mean of the folds."""
    models: dict[str, list[dict]] = {}
    for run in sorted(runs, key=lambda run: (run["model"], str(run["fold"]))):
        models.setdefault(run["model"], []).append(run)
    return [(model, _loss_chart(model, folds), _parts_chart(model, folds)) for model, folds in models.items()]


def _loss_chart(model: str, folds: Sequence[dict]) -> Markup:
    formats = sorted({run["precision"] for run in folds if "precision" in run})
    computed = f", computed in {' and '.join(formats)}" if formats else ""

    def paint(figure: Figure) -> None:
        loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        for number, run in enumerate(folds):
            colour = SERIES[number % len(SERIES)]
            loss.plot(
                *_thin(run["iteration"], run["loss"]),
                color=colour,
                label=f"fold {run['fold']}",
                linewidth=1.3,
            )
        rate.plot(*_thin(folds[0]["iteration"], folds[0]["lr"]), color=MUTED, linewidth=1.2)
        loss.set_title(f"loss{computed}")
        loss.set_ylim(bottom=0)
        loss.legend(ncols=2)
        rate.set_title("learning rate")
        rate.set_ylim(bottom=0)
        rate.set_xlabel("iteration")

    last = ", ".join(
        f"fold {run['fold']} ends at {_thin(run['iteration'], run['loss'])[1][-1]:.2f}" for run in folds
    )
    return draw(paint, 440, 320, f"Training loss of {model}{computed}: {last}.")


def _parts_chart(model: str, folds: Sequence[dict]) -> Markup:
    parts: dict[str, list[np.ndarray]] = {}
    length = min(len(run["iteration"]) for run in folds)
    for run in folds:
        for name, values in _staged(run["losses"], length).items():
            parts.setdefault(name, []).append(values)

    iteration = folds[0]["iteration"][:length]

    def paint(ax: Axes) -> None:
        for (name, colour), values in zip(colours(list(parts)).items(), parts.values(), strict=True):
            ax.plot(*_thin(iteration, np.mean(values, axis=0)), color=colour, label=name, linewidth=1.3)
        ax.set_title("parts of the loss, mean of the folds")
        ax.set_ylim(bottom=0)
        ax.set_xlabel("iteration")
        ax.legend()

    return panel(paint, f"Parts of the training loss of {model}: {', '.join(parts)}.", 440, 320)


def _staged(losses: Mapping[str, Sequence[float]], length: int) -> dict[str, np.ndarray]:
    """Add up a cascade's stages: s0.loss_mask, s1.loss_mask, ... become loss_mask."""
    sums: dict[str, np.ndarray] = {}
    for name, values in losses.items():
        if "loss" in name and name != "loss":
            bare = re.sub(r"^s\d+\.", "", name)
            sums[bare] = sums.get(bare, 0) + np.asarray(values[:length], float)
    return sums


def _thin(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    bins = np.array_split(np.arange(len(x)), min(POINTS, len(x)) or 1)
    across, up = np.asarray(x, float), np.asarray(y, float)
    return np.array([across[part].mean() for part in bins]), np.array([up[part].mean() for part in bins])
