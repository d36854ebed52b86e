"""The page: a head with the verdict, and the sections in their order, set by `report.html.jinja`."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from neuroseg.cell_types import UNKNOWN
from neuroseg.report import arms, counts, data, scores, shapes
from neuroseg.report.evidence import Evidence
from neuroseg.report.sheets import interval, text
from neuroseg.report.showcase import ReadImage, showcase
from neuroseg.report.training import training_charts
from neuroseg.report.view import View, view
from neuroseg.segmentation import likeness
from neuroseg.segmentation.widths import doubts

HERE = Path(__file__).parent


def render(evidence: Evidence, read_image: ReadImage) -> str:
    """Return the report as one HTML text that needs nothing else; the same evidence gives the same bytes.

    Args:
        evidence: what `read_evidence` gathered; a section without its part says so in a sentence.
        read_image: returns the pixels, shape (height, width), of an image's path; called for the images
            shown.
    """
    seen = view(evidence)
    shown, left_out = showcase(seen, read_image)
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = _coded
    return environment.get_template("report.html.jinja").render(
        dataset=evidence.dataset,
        leader=seen.leader,
        ensembles=len(seen.metrics),
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        tiles=_tiles(seen),
        verdict=_verdict(seen),
        untyped=set(seen.images["cell_type"]) == {UNKNOWN},
        remarks=_remarks(seen),
        data=data.section(seen),
        problems=data.problems(seen),
        scores=scores.section(seen),
        shown={kind: [one for one in shown if one.cell_type == kind] for kind in seen.palette},
        left_out=left_out,
        counts=counts.section(seen),
        treatment=arms.section(seen),
        shapes=shapes.section(seen),
        training=training_charts(evidence.training),
    )


def _coded(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(sentence))))


def _tiles(view: View) -> list[tuple[str, str, str]]:
    """Return the numbers at the head of the page: value, name, remark."""
    evidence, images = view.evidence, view.images
    tiles = []
    if view.metrics:
        best = view.metrics[view.leader]
        low, high = text(best.get("map_low"), 3), text(best.get("map_high"), 3)
        tiles.append((text(best["map"], 3), "mAP, held out", f"95 % interval {low} to {high}"))
    annotated = int(images["annotated"].sum())
    tiles.append((text(len(images)), "images", f"{text(annotated)} annotated"))
    if annotated:
        groups = images.loc[images["annotated"], "group"].nunique()
        tiles.append(
            (text(len(evidence.truth)), "annotated cells", f"in {groups} independent groups of images")
        )
    if view.segments is not None:
        tiles.append((text(len(view.segments)), "predicted cells", f"by {view.leader}, in all images"))
    if evidence.problems is not None:
        checks = evidence.problems["check"].nunique() if len(evidence.problems) else 0
        tiles.append((text(len(evidence.problems)), "problems in the data", f"found by {checks} checks"))
    return tiles


def _verdict(view: View) -> str:
    if not view.metrics:
        return "Nothing is scored here, for want of truth to compare with: what follows are predictions."
    best = view.metrics[view.leader]
    parts = [f"{kind} {text(part['map'], 3)}" for kind, part in best.get("per_type", {}).items()]
    count = len(view.metrics)
    which = f"The best of {count} ensembles" if count > 1 else "The ensemble"
    by_type = f" By cell type: {', '.join(parts)}." if parts else ""
    measured = interval(best["map"], best.get("map_low"), best.get("map_high"))
    reached = f"reaches a mAP of {measured} on images that its detectors never saw"
    return f"{which}, {view.leader}, {reached}.{by_type}"


def _remarks(view: View) -> list[str]:
    """Return what a reader should know before any number, a sentence each."""
    clauses = list(view.evidence.remarks)
    if home := view.evidence.detectors:
        beginning = (
            f"the cells were found by the detectors of `{home}`, which have not learnt from this data set: "
            "take them for a beginning, look at the overlays before you count on them, and train on cells "
            "that you have corrected (`docs/own-images.md`)"
        )
        clauses.insert(0, beginning)
    if view.segments is not None:
        clauses += doubts(view.segments, view.images)
        clauses += likeness.sentences(view.evidence.learnt, view.segments, view.images)
    return [clause[0].upper() + clause[1:] + ("" if clause.endswith("?") else ".") for clause in clauses]
