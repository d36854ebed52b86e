"""The dataset file: where raw data lie, in which format, and how strictly they are taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from neuroseg import settings
from neuroseg.readers.plates.presets import PRESETS
from neuroseg.settings import Number

FIELDS = ("sample", "cell_type", "plate", "well", "field", "time", "stamp", "channel", "treatment", "dose")
"""What a pattern may name, and of these any but time and stamp may make the group."""

Policy = Literal["error", "repair", "drop", "keep"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Common(_Section):
    by_preset: ClassVar[bool] = False
    """Whether, without a pattern, a preset that fits all names is taken."""

    root: Path
    pixel_size_um: Number | None = Field(None, ge=1e-3, le=1e3)
    invert: bool | int = False
    """Whether images are read with black and white exchanged (negative phase contrast, white stored as 0), or
    the value that is white: 4095 of a camera of 12 bit; true is the highest value of 8 or 16 bit."""
    pattern: str | None = None
    group: tuple[str, ...] | None = None
    """The fields whose values make an image's group; None is the default of `plates.groups`."""
    channel: str | None = None
    plate_map: str | None = None
    control: tuple[str, ...] = ()
    cell_types: tuple[str, ...] = ()
    policies: dict[str, Policy] = {}
    limits: dict[str, Number] = {}
    detectors: str | None = None
    title: str | None = None
    """What the report calls the data set, where its name is not what a person would write."""
    source: str | None = None
    """Where to get the raw data, as the end of the sentence that says they are missing."""

    @field_validator("invert", mode="before")
    @classmethod
    def _white_is_a_value(cls, white: object) -> object:
        if isinstance(white, bool) or (isinstance(white, int) and 1 < white <= 65535):
            return white
        raise ValueError("is neither true nor false nor the value of white, such as 255, 4095 or 65535")

    @field_validator("control", mode="before")
    @classmethod
    def _one_control_needs_no_list(cls, names: object) -> object:
        return names if isinstance(names, list | tuple | dict | None) else [names]

    @field_validator("channel", mode="before")
    @classmethod
    def _a_channel_may_be_a_number(cls, name: object) -> object:
        return str(name) if isinstance(name, int) and not isinstance(name, bool) else name

    @field_validator("pattern")
    @classmethod
    def _pattern_is_sound(cls, text: str | None) -> str | None:
        text = text and PRESETS.get(text, text)
        unknown = [name for name in _named(text) if name not in FIELDS]
        if unknown:
            raise ValueError(f"names the group '{unknown[0]}', known are {', '.join(FIELDS)}")
        return text

    @model_validator(mode="after")
    def _fields_come_from_somewhere(self) -> _Common:
        if self.pattern is None and self.by_preset:
            return self  # a preset may be found that fits the names
        known = {"sample", *_named(self.pattern)} - {"time", "stamp"}
        unknown = [name for name in self.group or () if name not in known]
        if self.group == () or unknown:
            raise ValueError(f"group: '{', '.join(unknown)}' is not captured by the pattern")
        if self.plate_map and "well" not in known:
            raise ValueError("plate_map: the pattern must capture the well")
        return self


class Kaggle(_Common):
    """The competition's layout: one CSV of run-length masks, folders of images named by id."""

    format: Literal["kaggle"]
    annotations: str
    images: tuple[str, ...]
    test_images: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Ids of images that are left out with their annotations."""


class Entry(_Section):
    """One COCO file, the folder of its images, and the subset that they are."""

    annotations: str
    images: str
    subset: Literal["train", "val", "test"] = "train"
    optional: bool = False


class Coco(_Common):
    """COCO JSON files of polygons or run-length masks, such as LIVECell's."""

    format: Literal["coco"]
    annotations: tuple[Entry, ...] = Field(min_length=1)


_LENIENT: dict[str, Policy] = {
    "image_unreadable": "drop",
    "image_constant": "drop",
    "bad_time": "keep",
}
"""A folder as a microscope left it has blank and broken images, and names that tell no time: each is a row in
the list of problems."""


class Folder(_Common):
    """Folders of images without annotation, with all that lies below them."""

    by_preset = True

    format: Literal["folder"]
    images: tuple[str, ...] = Field((".",), min_length=1)
    include: tuple[str, ...] = ()
    """Patterns such as `*_ph.tif`: only files whose name or path below the folder matches one are images."""
    exclude: tuple[str, ...] = ()
    """Patterns of files that are no images."""
    z: str | None = None
    """How the depths of a stack become one image: max, mean, focus (the sharpest), or one's number from 1."""
    pages: Literal["time", "z", "channel"] | None = None
    """What the pages of a TIFF are that does not say it."""
    policies: Annotated[dict[str, Policy], Field(validate_default=True)] = {}

    @field_validator("z", mode="before")
    @classmethod
    def _a_depth_is_a_number(cls, depth: object) -> object:
        return str(depth) if isinstance(depth, int) else depth

    @field_validator("z")
    @classmethod
    def _a_depth_is_known(cls, depth: str | None) -> str | None:
        if depth is not None and not re.fullmatch("max|mean|focus|[1-9][0-9]*", depth):
            raise ValueError(f"is '{depth}'; write max, mean, focus or the number of a depth, from 1")
        return depth

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _one_pattern_needs_no_list(cls, patterns: object) -> object:
        return [patterns] if isinstance(patterns, str) else patterns

    @field_validator("policies")
    @classmethod
    def _one_broken_image_does_not_end_the_run(cls, stated: dict[str, Policy]) -> dict[str, Policy]:
        return {**_LENIENT, **stated}


class _Paired(_Common):
    """Images with an annotation file each, of the same name: beside them or in a folder of its own."""

    by_preset = True

    images: tuple[str, ...] = Field((".",), min_length=1)
    annotations: str = "."
    subset: Literal["train", "val", "test"] = "train"


class Labels(_Paired):
    """Label images of Cellpose (x_masks.png, x_seg.npy) and StarDist (images/x.tif, masks/x.tif)."""

    format: Literal["labels"]


class Rois(_Paired):
    """Fiji's ROI sets: x.zip or x.roi for the image x."""

    format: Literal["rois"]


class GeoJson(_Paired):
    """QuPath's GeoJSON: x.geojson for the image x."""

    format: Literal["geojson"]


Dataset = Kaggle | Coco | Folder | Labels | Rois | GeoJson
_ADAPTER = TypeAdapter(Annotated[Dataset, Field(discriminator="format")])


def read_dataset(path: str | Path) -> Dataset:
    """Read a dataset file.

    Raises:
        DataError: no such file, no YAML, or a key that is unknown, missing or wrong; a sentence for each.
    """
    return settings.read(path, _ADAPTER, "this dataset file", "mend or restore it")


def _named(pattern: str | None) -> list[str]:
    try:
        return list(re.compile(pattern or "").groupindex)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
