"""Times that names tell: spans since plating, dates with or without a clock, and the frames of one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from neuroseg.readers.plates.presets import PRESETS
from neuroseg.readers.words import some

_UNITS = {
    7 * 24: "w|wks?|weeks?|wochen?",
    24: "d|days?|div|tage?",
    1: "h|hrs?|hours?|std|stunden?",
    1 / 60: "m|mins?|minutes?|minuten?",
    1 / 3600: "s|secs?|seconds?|sek|sekunden?",
}
"""By the hours that it is, how a unit of time is written."""

_SPAN = re.compile(
    "".join(
        rf"(?:(\d+(?:\.\d+|,\d\d?)?)[ _]?(?:{unit})\.?(?:(?:, ?|[ _-])(?=\d))?)?" for unit in _UNITS.values()
    )
    + r"(?:(?<=h)([0-5]\d))?",
    re.IGNORECASE,
)
"""Numbers with their units, the largest first; minutes right behind the hours need none: 24h30."""

_BEHIND = re.compile(
    rf"(?:{'|'.join(words for hours, words in _UNITS.items() if hours != 1)})(?![^\W_])", re.IGNORECASE
)
_LEADING = r"(div|days?|tag|weeks?|woche|min)[ _-]?"
_BEFORE = re.compile(rf"(?<![^\W\d_]){_LEADING}$", re.IGNORECASE)
_LED = re.compile(rf"^{_LEADING}(\d+)$", re.IGNORECASE)
"""A number behind its unit: DIV7, day 3."""

_COLONS = re.compile(r"(?:(\d+) days?,? )?(\d+):(\d+):(\d+(?:\.\d+)?)")

_HOUR_AND_MINUTE = re.compile(r"(?:[01]\d|2[0-3])[0-5][05]|2400")
"""A clock of four digits; microscopes scan at full minutes, mostly at multiples of five."""

_CLOCK_OF_DIGITS = re.compile(r"(?:1?\d|2[0-3])[0-5]\d|2400")
"""A clock of three digits or four, at any minute."""

_FORMS = {8: "%Y%m%d", 10: "%y%m%d%H%M", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""By its number of digits, what a stamp's digits are."""

_MONTH = r"(?:jan|feb|m[aä]r|mrz|apr|ma[iy]|ju[nl]|aug|sep|o[ck]t|nov|de[cz])"
"""How the names of months begin."""

_WORDS = re.compile(rf"(?<![a-z])(?:[ap]\.?m|{_MONTH})", re.IGNORECASE)
"""A half of the day, or a month by its name, without which the digits are another date."""

_NAMED = rf"{_MONTH}[a-zé]{{0,7}}\.?"
_DATED = re.compile(
    r"\d{4}-\d\d?-\d\d?(?:[ T]\d+:\d\d.*)?|\d\d?([./-])\d\d?\1\d{4}|\d+:\d\d:\d\d"
    rf"|\d\d?(?:\. ?|[- ]){_NAMED}(?:[- ](?:\d\d){{1,2}})?|{_NAMED}-\d{{1,4}}",
    re.IGNORECASE,
)
"""Dates and clocks as spreadsheets show them: 2026-05-01, 01.05.2026, 1-May, May-05, 10:30:00."""


def dated(text: str) -> bool:
    """Return whether a text is a date, or a clock with its seconds, as spreadsheets make of 1-5 or 1:10."""
    return bool(_DATED.fullmatch(text))


def hours(text: str) -> float:
    """Return a span of time in hours: "0 days 11:30:00", "02d16h00m", "30 min", "24h30", "DIV7", or a number.

    A number alone is one of hours.

    Raises:
        ValueError: the text is none of these.
    """
    text = _LED.sub(r"\2\1", text.strip())
    if text and (match := _SPAN.fullmatch(text)):
        told = zip(match.groups(), [*_UNITS, 1 / 60], strict=True)
        value = sum(float(number.replace(",", ".")) * unit for number, unit in told if number)
    elif match := _COLONS.fullmatch(text):
        days, of_day, minutes, seconds = (float(part or 0) for part in match.groups())
        value = 24 * days + of_day + minutes / 60 + seconds / 3600
    else:
        value = float(text)
    if not 0 <= value < np.inf:
        raise ValueError(f"{text} is no span of time")
    return value


def with_unit(number: str, before: str, behind: str) -> str:
    """Return a number of a name with its unit where that stands right beside it, else as it is.

    A pattern may take the number alone, of 30min or of DIV7. Before an h it is one of hours as it is.
    """
    if not re.fullmatch(r"\d+(?:[.,]\d+)?", number):
        return number
    unit = _BEHIND.match(behind)
    led = _BEFORE.search(before)
    return number + (unit[0] if unit else led[1] if led and not re.match("[^\\W\\d_]", behind) else "")


def moment(stamp: str) -> datetime:
    """Return the moment of a stamp: year, month and day, then perhaps the clock, marks between them or none.

    2024-01-31, 20240131_1030, 2024y01m31d_10h30m, 2024-01-31T10:30:59.500, and 2401311030 with a short year.

    Raises:
        ValueError: the text is no such stamp.
    """
    parts = re.findall(r"\d+", stamp)
    digits = "".join(parts)
    form = _FORMS.get(min(len(digits), 14))
    whole = len(digits) > 14 or not any(len(part) % 2 for part in parts)
    if form is None or len(digits) > 20 or not whole or _WORDS.search(stamp):
        raise ValueError(f"{stamp} is no date")
    found = datetime.strptime(digits, form if len(digits) <= 14 else f"{form}%f")
    if not 1970 <= found.year < 2100:
        raise ValueError(f"{stamp} is no date of a microscope")
    return found


def date(rows: Sequence[dict]) -> list[tuple[int, str]]:
    """Turn stamps into hours since the first of the plate, where a row has no time; frames go on from there.

    Args:
        rows: of each image its plate, stamp, time, and `since`: hours since its file's first frame. Times are
            filled in.

    Returns:
        (position, what is wrong) of the rows without a time whose stamp cannot be read.
    """
    moments, faults = [], []
    for at, row in enumerate(rows):
        try:
            moments.append(moment(str(row["stamp"])) if row["stamp"] is not None else None)
        except ValueError:
            moments.append(None)
            if row["time"] is None:
                span = bool(_SPAN.fullmatch(str(row["stamp"]).strip()))
                cure = "`time`" if span else "year, month, day, hour, minute and second, in this order"
                words = f"the stamp '{row['stamp']}' is no date such as 2024-01-31 or 20240131_103059: let "
                faults.append((at, f"{words}`pattern` take it as {cure}"))
    stamps = pd.Series(moments, dtype="datetime64[us]")
    first = stamps.groupby([row["plate"] or "" for row in rows]).transform("min")
    for row, span in zip(rows, (stamps - first).dt.total_seconds(), strict=True):
        if row["time"] is None and pd.notna(span):
            row["time"] = span / 3600 + (row["since"] or 0)
    return faults


def unlikely(times: Sequence[str], preset: str | None) -> list[str]:
    """Return a sentence on times that are taken as hours and look like something else, none if they do not.

    Four digits each that are a clock's, such as 0400 and 1600, do, and numbers of more than a year. So do
    numbers of a clock beyond two weeks, such as 930 beside 0 and 24, that lie a week and more behind the one
    before them, unless all are the same span apart or whole days.

    Args:
        times: as they are written.
        preset: the microscope's way of naming that fits all names, if any.
    """
    unlike = sorted(set(times))
    large = [text for text in unlike if text.isdecimal() and int(text) > 24 * 366]
    clocks = bool(unlike) and all(map(_HOUR_AND_MINUTE.fullmatch, unlike)) and int(unlike[-1]) >= 100
    late = [] if large or clocks else _late(unlike)
    if not large and not clocks and not late:
        return []
    shown = large or late or unlike
    ready = preset and "?P<stamp>" in PRESETS[preset]
    return [
        f"the time{'s' * (len(shown) > 1)} {some(shown, 2)} "
        f"{'are' if len(shown) > 1 else 'is'} taken as hours and may be "
        f"{'a date, a clock or another unit' if large else 'hour and minute of a clock'}"
        f"{' or another unit' if late else ''}: "
        + (f"set `pattern: {preset}`, which fits all names, or " if ready else "")
        + "let `pattern` take date and clock together as `stamp`, or write a span such as 16h00m"
    ]


def _late(times: Sequence[str]) -> list[str]:
    """Return the times that may be a clock's: the first far behind those before it, and those after it."""
    written = {int(text): text for text in times if text.isdecimal()}
    spans = sorted(written)
    steps = [later - before for before, later in zip([0, *spans], spans, strict=False)]
    whole_days = not any(span % 24 for span in spans)
    if whole_days or (len(spans) > 2 and len(set(steps[1:])) == 1):
        return []
    far = [span for span, step in zip(spans, steps, strict=True) if span > 14 * 24 and step > 7 * 24]
    clocks = [span for span in spans if _CLOCK_OF_DIGITS.fullmatch(str(span))]
    return [written[span] for span in clocks if span >= min(set(far) & set(clocks), default=np.inf)]


def frame_time(said: dict[str, str], since: float | None, frames: int) -> str | None:
    """Return why one of several frames of a file has no time, None if it has one or its name tells none.

    Args:
        said: what the name tells.
        since: hours since the file's first frame, None if it does not say.
        frames: how many time points the file holds.
    """
    told = said.get("time") or said.get("stamp")
    if frames < 2 or since is not None or told is None:
        return None
    return (
        f"the name tells one time, {told}, for {frames} time points whose interval the file does not say: "
        "set it in Fiji (Image > Properties, Frame interval), or save each as its own file with its time in "
        "the name"
    )
