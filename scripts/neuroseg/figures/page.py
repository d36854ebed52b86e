"""The page: a head with the verdict, and the sections in their order, set by `report.html.jinja`."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from neuroseg.figures import arms, counts, data, scores, shapes
from neuroseg.figures.evidence import Evidence
from neuroseg.figures.sheets import interval, text
from neuroseg.figures.showcase import ReadImage, showcase
from neuroseg.figures.training import training_charts
from neuroseg.figures.view import View, view

HERE = Path(__file__).parent


def render(evidence: Evidence, read_image: ReadImage) -> str:
    """Return the report as one HTML text that needs nothing else; the same evidence gives the same bytes.

    Args:
        evidence: what `read_evidence` gathered; a section without its part says so in a sentence.
        read_image: returns the pixels, shape (height, width), of an image's path; called for the images shown.
    """
    seen = view(evidence)
    shown, left_out = showcase(seen, read_image)
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.jinja").render(
        dataset=evidence.dataset,
        leader=seen.leader,
        ensembles=len(seen.metrics),
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        tiles=_tiles(seen),
        verdict=_verdict(seen),
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
        tiles.append((text(len(evidence.truth)), "annotated cells", f"in {groups} independent groups of images"))
    if view.segments is not None:
        tiles.append((text(len(view.segments)), "predicted cells", f"by {view.leader}"))
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
    return f"{which}, {view.leader}, reaches a mAP of {measured} on images that its detectors never saw.{by_type}"
