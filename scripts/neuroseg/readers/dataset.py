"""The dataset file: where raw data lie, in which format, and how strictly they are taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from neuroseg.tables import DataError

FIELDS = ("sample", "cell_type", "plate", "well", "field", "time", "treatment")
"""What a pattern may name, and of these any but the time may make the group."""

Policy = Literal["error", "repair", "drop", "keep"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Common(_Section):
    root: Path
    pixel_size_um: float | None = Field(None, gt=0)
    pattern: str | None = None
    group: tuple[str, ...] = ("sample",)
    plate_map: str | None = None
    cell_types: tuple[str, ...] = ()
    policies: dict[str, Policy] = {}
    limits: dict[str, float] = {}
    detectors: str | None = None

    @field_validator("pattern")
    @classmethod
    def _pattern_is_sound(cls, text: str | None) -> str | None:
        strangers = [name for name in _named(text) if name not in FIELDS]
        if strangers:
            raise ValueError(f"names the group '{strangers[0]}', known are {', '.join(FIELDS)}")
        return text

    @model_validator(mode="after")
    def _fields_come_from_somewhere(self) -> _Common:
        known = {"sample", *_named(self.pattern)} - {"time"}
        strangers = [name for name in self.group if name not in known]
        if not self.group or strangers:
            raise ValueError(f"group: '{', '.join(strangers)}' is not captured by the pattern")
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


class Folder(_Common):
    """Folders of images without annotation, with all that lies below them."""

    format: Literal["folder"]
    images: tuple[str, ...] = Field((".",), min_length=1)


Dataset = Kaggle | Coco | Folder
_ADAPTER = TypeAdapter(Annotated[Dataset, Field(discriminator="format")])


def read_dataset(path: str | Path) -> Dataset:
    """Read a dataset file.

    Raises:
        DataError: no such file, no YAML, or a key that is unknown, missing or wrong; a sentence for each.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: the dataset file cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the dataset file is no YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: the dataset file must hold keys such as format and root.")
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise DataError(*(f"{path}: {_complaint(fault)}." for fault in error.errors())) from error


def _named(pattern: str | None) -> list[str]:
    try:
        return list(re.compile(pattern or "").groupindex)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error


def _complaint(fault: dict) -> str:
    keys = [str(key) for key in fault["loc"] if key not in ("kaggle", "coco", "folder")]
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{'.'.join(keys)}: {message}" if keys else message
