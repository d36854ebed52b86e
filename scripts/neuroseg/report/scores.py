"""The scores: with their intervals, by threshold, by cell type, by fold and by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuroseg.report.drawing import INK, MUTED, SERIES, colours, draw, panel, spread
from neuroseg.report.sheets import Sheet, interval, sheet, text
from neuroseg.report.view import View


def section(view: View) -> dict[str, object] | None:
    """Return charts and tables of the scores, or None where nothing is scored."""
    metrics, held_out = view.metrics, view.held_out
    if not metrics:
        return None
    types = [
        kind for kind in view.palette if any(kind in part.get("per_type", {}) for part in metrics.values())
    ]
    return {
        "chart": scores_chart(metrics, types),
        "table": _score_table(metrics),
        "thresholds": thresholds_chart(metrics),
        "spread": None if held_out is None else per_image_chart(held_out, view.palette),
        "types": _type_table(metrics, types),
        "folds": _fold_table(metrics),
        "worst": None if held_out is None else _worst_table(held_out),
    }


def scores_chart(metrics: Mapping[str, dict], types: Sequence[str]) -> Markup:
    """Dots with intervals: a line for each ensemble, a panel for all images and one for each cell type."""
    names = list(metrics)
    panels = ["all images", *types]
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    height = rows * (62 + 32 * len(names))

    def paint(figure: Figure) -> None:
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, title in zip(axes.flat, panels, strict=False):
            for at, name in enumerate(names):
                part = (
                    metrics[name]
                    if title == "all images"
                    else metrics[name].get("per_type", {}).get(title, {})
                )
                _dot(ax, at, part, SERIES[at % len(SERIES)])
            ax.set_title(title)
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.tick_params(axis="y", length=0, labelcolor=INK)
            ax.grid(axis="y", visible=False)
            ax.spines["left"].set_visible(False)
        for ax in axes.flat[len(panels) :]:
            ax.set_visible(False)
        axes[0, 0].set_xlim(left=0)
        figure.supxlabel("mAP, the line is its 95 % interval", fontsize=11, color=MUTED)

    best = "; ".join(f"{name} {metrics[name]['map']:.3f}" for name in names)
    return draw(
        paint, 900, height + 26, f"mAP of each ensemble over all images and by cell type. All images: {best}."
    )


def thresholds_chart(metrics: Mapping[str, dict]) -> Markup:
    """AP against the IoU that a hit needs, a line for each ensemble."""

    def paint(ax: Axes) -> None:
        for (name, colour), part in zip(colours(list(metrics)).items(), metrics.values(), strict=True):
            steps = sorted(part["ap"], key=float)
            values = [_number(part["ap"][step]) for step in steps]
            ax.plot(
                [float(step) for step in steps], values, color=colour, marker="o", markersize=3, label=name
            )
        ax.set_ylim(bottom=0)
        ax.set_xlabel("IoU that a hit must exceed")
        ax.set_ylabel("AP")
        ax.legend()

    return panel(paint, "AP falls as the IoU threshold rises; one line for each ensemble.")


def per_image_chart(held_out: pd.DataFrame, palette: Mapping[str, str]) -> Markup:
    """AP of every held-out image, a column for each cell type, the bar its mean."""
    types = [kind for kind in palette if (held_out["cell_type"] == kind).any()]

    def paint(ax: Axes) -> None:
        for at, kind in enumerate(types):
            values = np.sort(held_out.loc[held_out["cell_type"] == kind, "ap"].to_numpy(float))
            ax.scatter(at + spread(len(values)), values, s=18, color=palette[kind], alpha=0.65, linewidth=0)
            ax.hlines(values.mean(), at - 0.33, at + 0.33, color=INK, linewidth=1.4)
        ax.set_xticks(range(len(types)), types)
        ax.set_xlim(-0.6, len(types) - 0.4)
        ax.set_ylim(bottom=0)
        ax.tick_params(axis="x", labelcolor=INK)
        ax.grid(axis="x", visible=False)
        ax.set_ylabel("AP of one image")

    return panel(paint, "AP of every held-out image by cell type; the bar is the mean.")


def _dot(ax: Axes, at: int, part: dict, colour: str) -> None:
    middle, low, high = (_number(part.get(key)) for key in ("map", "map_low", "map_high"))
    ax.hlines(at, low, high, color=colour, linewidth=2.2, alpha=0.55)
    ax.plot([middle], [at], "o", color=colour, markersize=6)
    if np.isfinite(middle):
        ax.annotate(
            f"{middle:.3f}", (middle, at), (0, 5), textcoords="offset points", ha="center", fontsize=10
        )


def _score_table(metrics: dict[str, dict]) -> Sheet:
    rows = [
        {
            "ensemble": name,
            "mAP": part["map"],
            "95 % interval": f"{text(part.get('map_low'), 3)} to {text(part.get('map_high'), 3)}",
            "AP at 0.50": part["ap"].get("0.50", np.nan),
            "AP at 0.75": part["ap"].get("0.75", np.nan),
            "COCO mask AP": part.get("coco", {}).get("mask_ap", np.nan),
            "COCO box AP": part.get("coco", {}).get("box_ap", np.nan),
            "true cells": part.get("cells"),
            "predicted": part.get("predicted"),
        }
        for name, part in metrics.items()
    ]
    three = dict.fromkeys(("mAP", "AP at 0.50", "AP at 0.75", "COCO mask AP", "COCO box AP"), 3)
    caption = (
        "mAP is the competition's metric, the mean over images and over the thresholds 0.50 to 0.95. COCO's "
        "AP ranks all predictions by their score, so it is another scale: compare within a column only."
    )
    return sheet(pd.DataFrame(rows), caption, three)


def _type_table(metrics: dict[str, dict], types: list[str]) -> Sheet | None:
    rows = []
    for kind in types:
        parts = {name: part.get("per_type", {}).get(kind, {}) for name, part in metrics.items()}
        first = next(part for part in parts.values() if part)
        row: dict[str, object] = {
            "cell type": kind,
            "images": first.get("images"),
            "cells": first.get("cells"),
        }
        rows.append(
            row
            | {name: interval(*map(part.get, ("map", "map_low", "map_high"))) for name, part in parts.items()}
        )
    return sheet(pd.DataFrame(rows), "mAP of each cell type, with its 95 % interval.") if rows else None


def _fold_table(metrics: dict[str, dict]) -> Sheet | None:
    folds = sorted({fold for part in metrics.values() for fold in part.get("per_fold", {})}, key=int)
    if not folds:
        return None
    rows = [
        {"ensemble": name} | {f"fold {fold}": _map(part.get("per_fold", {}).get(fold)) for fold in folds}
        for name, part in metrics.items()
    ]
    caption = "mAP of each fold's held-out images: how much the figure above depends on who was held out."
    return sheet(pd.DataFrame(rows), caption, {f"fold {fold}": 3 for fold in folds})


def _worst_table(held_out: pd.DataFrame) -> Sheet:
    names = {"image_id": "image", "cell_type": "cell type", "fold": "fold", "ap": "AP", "ap_50": "AP at 0.50"}
    names |= {"truth": "true cells", "predicted": "predicted", "matched_50": "matched"}
    table = held_out[[name for name in names if name in held_out]].rename(columns=names)
    return sheet(table.head(20), "The twenty held-out images of lowest AP.", {"AP": 3, "AP at 0.50": 3})


def _map(value: dict | float | None) -> float:
    value = value.get("map") if isinstance(value, dict) else value
    return np.nan if value is None else float(value)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
