"""The group of an image: those of one well, or of one field at several times, are not to be divided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def group_of(fields: Mapping[str, object], stated: Sequence[str] | None, named: Collection[str]) -> str:
    """Return the name of an image's group, its sample's where fields of the group are not known.

    Args:
        fields: what is known of the image.
        stated: the fields that make a group by the dataset file. Where it is silent they are the sample, if
            the pattern names it, else plate and well, else plate and field of images with a time; of these,
            an unknown plate is left out.
        named: what the pattern names.
    """
    names = stated if stated is not None else _default(fields, named)
    parts = [_part(fields, name) for name in names]
    return "/".join(map(str, parts)) if None not in parts else str(fields["sample"])


def _default(fields: Mapping[str, object], named: Collection[str]) -> list[str]:
    plate = ["plate"] if fields["plate"] is not None else []
    if "sample" in named:
        return ["sample"]
    if fields["well"] is not None:
        return [*plate, "well"]
    timed = fields["time"] is not None or fields["stamp"] is not None
    return [*plate, "field"] if timed and fields["field"] is not None else ["sample"]


def _part(fields: Mapping[str, object], name: str) -> object:
    """Return what a field adds to the name of an image's group, None where it is not known."""
    unit = fields["dose_unit"] if name == "dose" and fields["dose"] is not None else None
    return f"{fields[name]} {unit}" if unit else fields.get(name)
