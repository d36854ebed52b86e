"""The charts seen without the page, each a file of its own: in DVC, in Snakemake's report, in a talk."""

from __future__ import annotations

import re
from pathlib import Path

from neuroseg.report.drawing import standalone
from neuroseg.report.evidence import Evidence
from neuroseg.report.scores import thresholds_chart
from neuroseg.report.training import training_charts


def write_charts(evidence: Evidence, folder: Path) -> None:
    """Write AP by IoU threshold and each model's training curves as SVG files into an empty folder.

    Args:
        evidence: what `read_evidence` gathered; a chart without its part is left out.
        folder: an existing folder.
    """
    charts = {"ap_by_threshold": thresholds_chart(evidence.metrics)} if evidence.metrics else {}
    for model, loss, parts in training_charts(evidence.training):
        name = re.sub(r"\W", "_", model)
        charts |= {f"training_{name}": loss, f"training_parts_{name}": parts}
    for name, chart in charts.items():
        (folder / f"{name}.svg").write_text(standalone(chart), encoding="utf-8")
