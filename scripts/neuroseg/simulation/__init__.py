"""Simulated phase-contrast cultures in the competition's layout: known truth, a known effect, planted faults.

`kinds` and `anatomy` say what cells look like, `drawing` rasterises them, `optics` photographs them, `field`
puts one image together; `experiment` plans plates, wells and arms, `faults` spoils what `validate` must find,
`folder` writes.
"""

from neuroseg.simulation.experiment import Experiment, photograph, plan
from neuroseg.simulation.folder import write

__all__ = ["Experiment", "photograph", "plan", "write"]
