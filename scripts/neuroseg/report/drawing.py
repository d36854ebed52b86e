"""A matplotlib figure as inline SVG that wears the page's own colours and type, by day and by night."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1d2127", "#5c6670", "#d9d6cf"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")
"""Okabe and Ito's colours, told apart by colour-blind eyes, and two more for data sets of eight types."""

_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule"} | {
    code: f"series-{i}" for i, code in enumerate(SERIES)
}
"""Each colour becomes the CSS variable of this name, which the page sets for light and for dark."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "neuroseg",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "axes.labelsize": 11,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
}


def draw(paint: Callable[[Figure], object], width: float, height: float, alt: str) -> Markup:
    """Return what `paint` puts on a figure as an inline <svg>, `width` x `height` CSS pixels at natural size.

    No state outlives the call: the figure is not pyplot's, the style is set for its duration only, and the
    same drawing gives the same text.
    """
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]  # the stub wants the names as literals
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Markup(_for_page(buffer.getvalue(), width, height, alt))


def panel(paint: Callable[[Axes], object], alt: str, width: float = 440, height: float = 280) -> Markup:
    """Return what `paint` puts on one pair of axes, of the size that stands two or three abreast."""
    return draw(lambda figure: paint(figure.add_subplot()), width, height, alt)


def standalone(chart: Markup) -> str:
    """Return a chart of the page as an SVG file's text, in the page's colours by day, on white."""
    svg = str(chart)
    for code, variable in _VARIABLES.items():
        svg = svg.replace(f"var(--{variable})", code)
    svg = svg.replace("font-family: inherit", "font-family: DejaVu Sans, sans-serif")
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    names += ' style="background: #ffffff"'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg.replace("<svg ", f"<svg {names} ", 1)}\n'


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return one colour for each name, in order; a ninth name starts again."""
    return {name: SERIES[index % len(SERIES)] for index, name in enumerate(names)}


def spread(count: int) -> np.ndarray:
    """Return sideways offsets, so that `count` dots of one column do not hide each other; always the same."""
    return ((np.arange(count) * 0.618034) % 1 - 0.5) * 0.5


def _for_page(svg: str, width: float, height: float, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.S)
    body = re.sub(r"<svg.*?>", "", body, count=1, flags=re.S)
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    for code, variable in _VARIABLES.items():
        body = body.replace(code, f"var(--{variable})")
    body = _unique_ids(body, alt)
    head = (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="{escape(alt)}">'
    )
    return head + re.sub(r">\s+<", "><", body).strip()


def _unique_ids(svg: str, alt: str) -> str:
    """Drop ids that nothing refers to, and make the others the drawing's own: many drawings share a page."""
    used = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
    prefix = "c" + hashlib.sha256((alt + svg).encode()).hexdigest()[:10]
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r' id="', f' id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    return re.sub(r'(xlink:)?href="#', f'href="#{prefix}-', svg)
