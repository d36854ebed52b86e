"""The report: one HTML page that opens offline, from the tables of every other stage. The door of matplotlib.

`read_evidence` gathers the tables, `render` turns them into the page, `write_charts` keeps its charts as
files. Inside: `view` makes the choices that all sections share; `data`, `scores`, `counts`, `arms`, `shapes`
and `training` are the sections, `showcase` and `overlays` the pictures; `drawing` and `sheets` set charts and
tables; the words stand in `report.html.jinja`.
"""

from neuroseg.report.charts import write_charts
from neuroseg.report.evidence import Evidence, read_evidence
from neuroseg.report.page import render

__all__ = ["Evidence", "read_evidence", "render", "write_charts"]
