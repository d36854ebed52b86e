"""Images that are not to be counted beside others: of another channel, or of the same place and time."""

from __future__ import annotations

import pandas as pd

from neuroseg.errors import DataError
from neuroseg.readers.dataset import Dataset
from neuroseg.readers.plates.presets import phase_of
from neuroseg.readers.source import Note


def other_channels(
    rows: list[dict[str, object]], where: pd.Series, left_out: set[int], dataset: Dataset
) -> list[Note]:
    """Return notes of the images of another channel than the one chosen, or known as transmitted light."""
    channels = {
        at: str(row["channel"])
        for at, row in enumerate(rows)
        if row["channel"] is not None and at not in left_out
    }
    there = sorted(set(channels.values()))
    phase = phase_of(there)
    known = there if len(there) < 2 else [] if phase is None else [there[phase]]
    chosen = known if dataset.channel is None else [dataset.channel]
    if there and not set(chosen) & set(there):
        raise DataError(
            f"{dataset.root}: the images are of the channels {', '.join(there)}; "
            "say with `channel` which one is phase contrast, as it is written there."
        )
    return [
        Note("other_channel", at, -1, where.iloc[at], f"the channel is {channel}, {chosen[0]} is used")
        for at, channel in channels.items()
        if channel not in chosen
    ]


def same_places(
    rows: list[dict[str, object]], where: pd.Series, left_out: set[int], dataset: Dataset
) -> list[Note]:
    """Return notes of images in a folder that show the place of another at the same time, by their names.

    Planes of a depth stack, another plate of the same wells or time points that the name's pattern passes
    over are counted together with it.
    """
    if dataset.format != "folder":
        return []
    first: dict[tuple[object, ...], int] = {}
    notes = []
    for at, row in enumerate(rows):
        place = tuple(row[name] for name in ("plate", "well", "field", "time"))
        if at in left_out or row["well"] is None or row["field"] is None:
            continue
        if first.setdefault(place, at) != at:
            message = (
                f"plate, well, field and time are those of {where.iloc[first[place]]}, and the well's "
                "numbers are of both; leave one out with `exclude`, or tell them apart with `pattern`"
            )
            notes.append(Note("same_place", at, -1, where.iloc[at], message))
    return notes
