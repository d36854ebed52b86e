"""What names and a plate map tell: plate, well, time, treatment, and the group not to be split."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from neuroseg.errors import DataError
from neuroseg.readers.dataset import FIELDS, Dataset, Folder
from neuroseg.readers.images import scale
from neuroseg.readers.places import other_channels, same_places
from neuroseg.readers.plates.amounts import tidy_dose
from neuroseg.readers.plates.doubts import of_doses
from neuroseg.readers.plates.groups import group_of
from neuroseg.readers.plates.names import Spelling, same
from neuroseg.readers.plates.platemap import Finder, PlateMap, read_plate_map, unused_maps
from neuroseg.readers.plates.presets import PRESETS, Misfit, misfit_of, preset_of
from neuroseg.readers.plates.times import date, frame_time, hours, unlikely, with_unit
from neuroseg.readers.plates.wells import well_name
from neuroseg.readers.source import Note
from neuroseg.readers.words import composed, some


def describe(
    images: pd.DataFrame,
    texts: Sequence[Sequence[str]],
    dataset: Dataset,
    frames: Sequence[int] | None = None,
    left_out: Collection[int] = (),
    labels: Collection[int] = (),
) -> tuple[pd.DataFrame, list[Note]]:
    """Fill in what the pattern reads from images' texts and the plate map from wells, and name their groups.

    A reader's own value stands before the pattern's. An image whose texts do not match, or match without
    every field of a stated group, has its sample as group; what makes one by default, `group_of` says. What a
    name tells of a file of several time points is the first one's time: each has that and its hours since the
    first, and none where the file tells none. Names that `same` finds to be one are one: plates and wells of
    images are those of the plate map, and a treatment is spelled as where it occurs first, in the plate map
    before the images' names.

    Args:
        images: raw image rows.
        texts: of each image what the pattern is tried on, in this order; the first match from a text's start
            holds.
        dataset: the dataset file.
        frames: of each image, how many time points its file holds; the `time` of one of several counts from
            the first. One each where it is not given.
        left_out: positions of images that are left out whatever names tell: no preset need fit them, and
            no note is about them. The first scan of a plate is the first even where its image is broken.
        labels: positions of those of them that are label images: their stamps are those of no scan.

    Returns:
        The images with `group` and `control` (whether its treatment is called the control), and notes under
        pattern_mismatch, unfit_names, plate_map, passed_over, bad_time, clock_time, other_channel,
        same_place, unused_map and pixel_size.

    Raises:
        DataError: pattern or plate map fit fewer than half of the images and no policy says that they may;
            names do not tell what is needed; the control is no treatment.
    """
    texts = [[composed(text) for text in said] for said in texts]
    staying = [at for at in range(len(images)) if at not in left_out]
    asked = [texts[at] for at in staying]
    preset = preset_of(asked)
    misfit = misfit_of(asked, images["where"].iloc[staying].tolist()) if preset is None else None
    pattern = _pattern(preset, misfit, dataset) if staying else None
    wells = read_plate_map(dataset.root / dataset.plate_map) if dataset.plate_map else None
    rows, notes = [], []
    find = wells.finder() if wells else None
    spelling = Spelling(filter(None, wells.treatments.values()) if wells else ())
    plates, named_wells = Spelling(), Spelling()
    counts = frames or [1] * len(images)
    for at, (row, said, count) in enumerate(zip(images.to_dict("records"), texts, counts, strict=True)):
        fields, faults = _fields(row, said, pattern, count)
        if wells and find:
            faults += _treat(fields, wells, find, dataset)
        for name, spelled in (("treatment", spelling), ("plate", plates), ("well", named_wells)):
            if fields[name] is not None:
                fields[name] = spelled.of(str(fields[name]))
        fields["group"] = group_of(fields, dataset.group, pattern.groupindex if pattern else ())
        rows.append(fields)
        notes += [Note(check, at, -1, row["where"], message) for check, message in faults]
    scans = [at for at in range(len(rows)) if at not in labels]
    undated = [(scans[scan], words) for scan, words in date([rows[at] for at in scans])]
    notes += [Note("bad_time", at, -1, images["where"].iloc[at], words) for at, words in undated]
    notes = [note for note in notes if note.image not in left_out]
    if misfit and pattern is None and dataset.by_preset:
        words = f"names tell no plate, well, field or time, as {_said(misfit, dataset)}"
        notes.append(Note("unfit_names", -1, -1, "names of images", words))
    _refuse_misfits({at: rows[at] for at in staying}, notes, wells, dataset)
    told = {at: str(rows[at]["told"]) for at in staying if rows[at]["told"] is not None}
    for words in unlikely(list(told.values()), preset):
        notes.append(Note("clock_time", -1, -1, images["where"].iloc[min(told)], words))
    if wells is None and isinstance(dataset, Folder):
        for name in unused_maps(dataset.root):
            words = f"{name} may be a plate map and is not used; to use it, name it as `plate_map`"
            notes.append(Note("unused_map", -1, -1, name, words))
    origin = dataset.plate_map or "names of images"
    said_of_wells = [*(wells.passed if wells else ()), *spelling.told("treatments"), *plates.told("plates")]
    notes += [Note("passed_over", -1, -1, origin, words) for words in said_of_wells]
    named = (rows[at]["named_dose"] for at in staying)
    doses = [(str(dose), None) for dose in named if dose is not None]
    notes += [Note("passed_over", -1, -1, "names of images", words) for words in of_doses(doses)]
    channels = other_channels(rows, images["where"], set(left_out), dataset)
    gone = {*left_out, *(note.image for note in channels)}
    notes += [*channels, *same_places(rows, images["where"], gone, dataset)]
    filled = pd.DataFrame(rows, index=images.index, columns=[*FIELDS, "dose_unit", "group"], dtype=object)
    filled["pixel_size_um"] = dataset.pixel_size_um
    if doubt := scale.unlikely(dataset.pixel_size_um):
        notes.append(Note("pixel_size", -1, -1, "dataset file", doubt))
    filled["control"] = filled["treatment"].isin(_controls(filled["treatment"], wells, dataset))
    return images.drop(columns=[name for name in filled if name in images]).join(
        filled.drop(columns=["stamp", "channel"])
    ), notes


def _pattern(preset: str | None, misfit: Misfit | None, dataset: Dataset) -> re.Pattern | None:
    """Return the dataset file's pattern or that of the preset that fits all names, if it may be taken."""
    if dataset.pattern:
        return re.compile(composed(dataset.pattern))
    found = preset if dataset.by_preset else None
    needed = {*(dataset.group or ()), *(["well"] if dataset.plate_map else [])} - {"sample"}
    unknown = sorted(needed - set(re.compile(PRESETS[found]).groupindex if found else ()))
    if unknown:
        why = f", as {_said(misfit, dataset)}" if misfit else "; say how with `pattern`"
        raise DataError(f"{dataset.root}: names do not tell the {unknown[0]} by themselves{why}.")
    return re.compile(PRESETS[found]) if found else None


def _said(misfit: Misfit, dataset: Dataset) -> str:
    """Return in words which names keep a preset from being found, and what to do."""
    away = "leave such images out with `exclude`" if isinstance(dataset, Folder) else "move such images away"
    return f"{misfit.words}: {away}, or read the others with `pattern: {misfit.preset}`"


def _fields(
    row: dict, texts: Sequence[str], pattern: re.Pattern | None, frames: int
) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """Return one image's fields, null where nothing tells, and what was wrong with them."""
    match = next(filter(None, map(pattern.match, texts)), None) if pattern else None
    said = {name: value for name, value in (match.groupdict() if match else {}).items() if value}
    if match and said.get("time"):
        start, end = match.span("time")
        said["time"] = with_unit(said["time"], match.string[:start], match.string[end:])
    own = {name: composed(value) if isinstance(value, str) else value for name, value in row.items()}
    fields = {name: own[name] if own.get(name) is not None else said.get(name) for name in FIELDS}
    faults = (
        []
        if match or not pattern
        else [("pattern_mismatch", f"'{texts[-1]}' does not match the dataset file's pattern")]
    )
    since = row.get("time") if frames > 1 and said.keys() & {"time", "stamp"} else None
    if since is not None:
        fields["time"] = said.get("time")
    fields["since"] = since
    if lost := frame_time(said, row.get("time"), frames):
        faults.append(("bad_time", lost))
        fields["time"] = fields["stamp"] = None
    fields["told"] = fields["time"]
    if fields["time"] is not None:
        try:
            fields["time"] = hours(str(fields["time"])) + (since or 0.0)
        except ValueError:
            faults.append(
                ("bad_time", f"the time '{fields['time']}' is no span such as 0 days 11:30:00 or 02d16h00m")
            )
            fields["time"] = None
    fields["well"] = fields["well"] and well_name(fields["well"])
    fields["sample"] = fields["sample"] or row["image_id"]
    fields["dose_unit"] = row.get("dose_unit")
    fields["named_dose"] = fields["dose"]
    if fields["dose"] is not None:
        fields["dose"], fields["dose_unit"] = tidy_dose(str(fields["dose"]), fields["dose_unit"])
    return fields, faults


def _treat(
    fields: dict[str, object], wells: PlateMap, find: Finder, dataset: Dataset
) -> list[tuple[str, str]]:
    """Give an image its well's treatment and dose; return the fault where the plate map does not name it."""
    plate, well = fields["plate"], fields["well"]
    if well is None:
        return []
    key = find(None if plate is None else str(plate), str(well))
    if key is None:
        place = " of ".join(str(part) for part in (well, plate) if part)
        return [("plate_map", f"well {place} is not in {dataset.plate_map}")]
    fields["treatment"] = wells.treatments[key] or fields["treatment"]
    if key in wells.doses:
        fields["dose"], fields["dose_unit"] = wells.doses[key]
    return []


def _refuse_misfits(
    rows: dict[int, dict[str, object]], notes: list[Note], wells: PlateMap | None, dataset: Dataset
) -> None:
    """Raise where the pattern or the plate map fits fewer than half the images, unless a policy allows it."""
    sentences = []
    for check, name in (("pattern_mismatch", "pattern"), ("plate_map", "plate map")):
        missed = {note.image for note in notes if note.check == check}
        if wells is not None and check == "plate_map":
            missed |= {at for at, row in rows.items() if row["well"] is None}
        if check in dataset.policies or 2 * len(missed) <= len(rows):
            continue
        example = next((note.message for note in notes if note.check == check), "no name tells a well")
        place = dataset.plate_map if check == "plate_map" else dataset.pattern
        known = ""
        if wells is not None and check == "plate_map":
            known = f"; {_sheets(wells.sheets)} {_wells(wells.treatments)}"
        sentences.append(
            f"{dataset.root}: the {name} {place} fits {len(rows) - len(missed)} of {len(rows)} images "
            f"({example}{known}); correct it, or set `{check}: keep` under policies."
        )
    if sentences:
        raise DataError(*sentences)


def _sheets(names: Sequence[str]) -> str:
    """Return the beginning of a sentence that goes on with the wells that a plate map names."""
    if len(names) < 2:
        return f"its sheet {names[0]} names" if names else "it names"
    return f"its sheets {', '.join(names)}, each taken for a plate, name"


def _wells(keys: Iterable[tuple[str | None, str]]) -> str:
    names = [" of ".join(part for part in (well, plate) if part) for plate, well in keys]
    return some(names)


def _controls(treatments: pd.Series, wells: PlateMap | None, dataset: Dataset) -> frozenset[str]:
    """Return the treatments that the dataset file or, where it is silent, the plate map calls the control."""
    known = {same(name): name for name in treatments.dropna()}
    unknown = sorted(name for name in dataset.control if same(name) not in known)
    if unknown:
        there = ", ".join(sorted(set(treatments.dropna()))) or "none is known"
        raise DataError(
            f"{dataset.root}: control: no image has the treatment '{unknown[0]}' (there: {there}); "
            "correct the dataset file."
        )
    named = dataset.control or (wells.controls if wells else ())
    return frozenset(known[same(name)] for name in named if same(name) in known)
