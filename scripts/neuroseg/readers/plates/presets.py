"""How microscopes name images: what `pattern` may be called in a dataset file, what is found by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from neuroseg.readers.words import some

OPERETTA = r"(?P<well>r\d\dc\d\d)f(?P<field>\d+)p\d+-ch(?P<channel>\d+)"
"""How the name of an Operetta's image begins."""

_OPERETTA = OPERETTA + r"(?:sk\d+)?(?:fk\d+)?(?:fl\d+)?$"

PRESETS = {
    # plate_A1_1_00d12h00m, or with a date: plate_A1_1_2024y01m31d_12h00m
    "incucyte": r"(?P<plate>[^/]+)_(?P<well>[A-P]\d{1,2})_(?P<field>\d+)_"
    r"(?:(?P<time>\d+d\d+h\d+m)|(?P<stamp>\d{4}y\d\dm\d\dd_\d\dh\d\dm))$",
    # EssenFiles/ScanData/1912/14/1600/19/B2-1-Ph: year and month, day, clock, vessel
    "incucyte_raw": r"(?P<stamp>\d{4}/\d\d/\d{4})/(?P<plate>\d+)/"
    r"(?P<well>[A-P]\d{1,2})-(?P<field>\d+)-(?P<channel>\w+)$",
    # plate_A01_s1_w1, with or without the long code that follows
    "imagexpress": r"(?:(?P<plate>[^/]+)_)?(?P<well>[A-P]\d\d)(?=_[sw]\d)"
    r"(?:_s(?P<field>\d+))?(?:_w(?P<channel>\d))?(?:_thumb)?(?:[0-9A-F]{8}-[0-9A-F-]+)?$",
    # Plate__2024-01-31T12_00_00-Measurement 1/Images/r01c01f01p01-ch1sk1fk1fl1
    "operetta_export": r"(?:.*/)?(?P<plate>[^/]+)__(?P<stamp>\d{4}-\d\d-\d\dT\d\d_\d\d)_\d\d"
    r"-Measurement[ _]\d+/(?:Images/)?" + _OPERETTA,
    # r01c01f01p01-ch1sk1fk1fl1
    "operetta": _OPERETTA,
    # plate_A01_T0001F001L01A01Z01C01
    "cellvoyager": r"(?P<plate>[^/]+)_(?P<well>[A-P]\d\d)_T\d+F(?P<field>\d+)L\d+A\d+Z\d+C(?P<channel>\d+)$",
    # scan_Plate_R_p00_0_A01f00d0
    "evos": r"(?P<plate>[^/]+)_(?P<well>[A-P]\d\d)f(?P<field>\d+)d(?P<channel>\d+)$",
}
"""By name, what `pattern` stands for. A stamp is a date and a clock; time is since the plate's first."""

_PHASE = ("ph", "phase", "phasecontrast", "phasenkontrast", "pc")
_BRIGHT = ("bf", "brightfield", "trans", "tl", "dic")
"""Names of channels in phase contrast and in other transmitted light: lower case, no blanks and signs."""

_PERHAPS = re.compile(r"ph|fase|qpi|[^\x00-\x7f]")
"""What a name in lower case holds that may be phase contrast's as well, as TL Phase, Ph2 and PhC do."""


def phase_of(channels: Sequence[str]) -> int | None:
    """Return the place of the only channel that is called phase contrast, such as Ph or Phase-Contrast.

    Where none is, that of the only one called after another transmitted light, if no other may be phase
    contrast by its name. Else None.
    """
    names = [re.sub(r"[\W_]", "", channel.casefold()) for channel in channels]
    phase, bright = ([at for at, name in enumerate(names) if name in known] for known in (_PHASE, _BRIGHT))
    if not phase and not any(_PERHAPS.search(name) for name in names):
        phase = bright
    return phase[0] if len(phase) == 1 else None


def preset_of(texts: Sequence[Sequence[str]]) -> str | None:
    """Return the preset that fits every image, by name, or None; `texts` are what a pattern is tried on."""
    return next((name for name in PRESETS if texts and not _misfits(name, texts)), None)


class Misfit(NamedTuple):
    """A preset that fits some images and not all, and in words how many and which it does not fit."""

    preset: str
    words: str


def misfit_of(texts: Sequence[Sequence[str]], where: Sequence[str]) -> Misfit | None:
    """Return the preset that fits most images, where it fits any and none fits all.

    Args:
        texts: of each image what a pattern is tried on.
        where: how the words call each image.
    """
    missed = {name: _misfits(name, texts) for name in PRESETS}
    preset = min(missed, key=lambda name: len(missed[name]))
    odd = missed[preset]
    if not 0 < len(odd) < len(texts):
        return None
    shown = some(where[at] for at in odd)
    does = "do" if len(odd) > 1 else "does"
    return Misfit(preset, f"{len(odd)} of {len(texts)} names {does} not fit the preset {preset} ({shown})")


def _misfits(preset: str, texts: Sequence[Sequence[str]]) -> list[int]:
    compiled = re.compile(PRESETS[preset])
    return [at for at, said in enumerate(texts) if not any(compiled.match(text) for text in said)]
