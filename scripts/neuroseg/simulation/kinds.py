"""The three cell types by their numbers, read off the competition's real images beside simulated ones."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A cell type: how many, how large, and how it looks. Lengths are pixels, thickness radians of phase."""

    label: str  # as a sample's name spells it
    cells: float  # per control image of field.FRAME, at density 1
    area: tuple[float, float]  # median of the annotated area and the spread of its logarithm
    opening: float  # processes thinner than this radius are not annotated
    clustered: float  # share of cells that settle beside another
    overlap: float  # largest share of a cell that may lie over others
    forms: dict[str, float]  # share of each form, see anatomy.FORMS
    fibres: tuple[float, float]  # thin processes per cell, and their length
    fibre_height: float  # radians where the radius is 1
    bend: float  # how much a fibre wanders, radians a step
    spreading: float  # fibres that cross the image without a body in it
    corpses: float  # clumps of dead cells
    sunken: float  # share of them that lies on the living
    specks: float  # grains of debris


KINDS = {
    "shsy5y": Kind(
        label="shsy5y[diff]",
        cells=68,
        area=(212, 0.55),
        opening=2.7,
        clustered=0.75,
        overlap=0.24,
        forms={"angular": 0.58, "spindle": 0.34, "rounded": 0.08},
        fibres=(1.6, 38),
        fibre_height=0.10,
        bend=0.09,
        spreading=4,
        corpses=16,
        sunken=0.4,
        specks=30,
    ),
    "astro": Kind(
        label="astro[cereb]",
        cells=22,
        area=(620, 0.7),
        opening=0.0,
        clustered=0.45,
        overlap=0.30,
        forms={"bipolar": 0.72, "stellate": 0.16, "flat": 0.12},
        fibres=(2.6, 12),
        fibre_height=0.13,
        bend=0.06,
        spreading=1,
        corpses=8,
        sunken=0.3,
        specks=90,
    ),
    "cort": Kind(
        label="cort[debris]",
        cells=28,
        area=(215, 0.4),
        opening=3.3,
        clustered=0.35,
        overlap=0.20,
        forms={"soma": 1.0},
        fibres=(8.5, 42),
        fibre_height=0.13,
        bend=0.11,
        spreading=26,
        corpses=105,
        sunken=0.07,
        specks=230,
    ),
}
