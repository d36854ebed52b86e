"""What of a plate map's doses is in doubt, for a person to mend."""

from __future__ import annotations

from neuroseg.readers.plates.amounts import doubtful, tidy_dose
from neuroseg.readers.plates.forms import Row


def doubts(rows: list[Row]) -> list[str]:
    """Return a sentence that names the doses of which it is not sure how large they are."""
    some = list(dict.fromkeys(row.dose for row in rows if doubtful(tidy_dose(row.dose, None)[0])))
    if not some:
        return []
    shown = ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
    return [f"doses that may be thousands or decimal numbers are left as they are ({shown}); write 1000 or 1"]
