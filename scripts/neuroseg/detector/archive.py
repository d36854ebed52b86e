"""The bytes of a detector file: an undamaged archive whose pickle names nothing but parts of tensors."""

from __future__ import annotations

import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch

from neuroseg.errors import DataError

GLOBAL = re.compile(
    r"collections OrderedDict|torch(\.storage)? \w+Storage|torch\._utils _rebuild_tensor_v2|torch \w+"
)
"""What the pickle within a detector file may name: the parts of tensors."""

ZIPPED, MAGIC = b"PK", (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""How a file of torch.save begins, and what is among the first bytes of one that is no archive yet."""

FOLDER = 0x10
"""The bit of a ZIP entry's attributes that makes it a folder."""


def check_kind(path: Path) -> None:
    """Refuse a file that is none of torch.save's, such as a plain pickle or a web page. An empty one passes.

    Raises:
        DataError: naming the file.
    """
    with path.open("rb") as file:
        head = file.read(40)
    if head and not head.startswith(ZIPPED) and MAGIC not in head:
        raise DataError(
            f"{path}: this is no file of weights as torch.save writes them; give another, such as a "
            "model.pth that train has written."
        )


def check_archive(path: Path, own: bool = True) -> None:
    """Refuse a checkpoint with damaged bytes, that unpacks to more than its size, or names foreign types.

    PyTorch writes a checksum of each part of the file and does not compare them when it reads.

    Args:
        path: The file, in PyTorch's present format (a ZIP archive).
        own: Whether it is a fitted detector of ours, which names nothing but the parts of tensors.

    Raises:
        DataError: one of these.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise DataError(f"{path}: the checkpoint unpacks to more than its own size; do not use it.")
            # PyTorch takes an entry marked as a folder for one without bytes, and leaves its weights unset.
            marked = [entry.filename for entry in entries if entry.external_attr & FOLDER or entry.is_dir()]
            damaged = marked[0] if marked else archive.testzip()
            if damaged is not None:
                raise DataError(
                    f"{path}: the checkpoint is damaged (in {damaged}); copy it again, or train it again."
                )
            pickles = [archive.read(entry) for entry in entries if entry.filename.endswith("/data.pkl")]
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{path}: the checkpoint is damaged ({error}); copy it again, or train it again."
        ) from error
    for name in (name for pickle in pickles for name in _named(pickle)) if own else ():
        if not GLOBAL.fullmatch(name):
            raise DataError(
                f"{path}: it names {name.replace(' ', '.')}, which no fitted detector holds; do not use it."
            )


def _named(pickle: bytes) -> Iterator[str]:
    """Yield what a pickle imports. What its stack puts together is none of PyTorch's and has no name here."""
    try:
        for code, value, _ in pickletools.genops(pickle):
            if code.name == "GLOBAL":
                yield str(value)
            elif code.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
                yield code.name
    except ValueError:
        yield "what cannot be read"


def check_weights(weights: dict, path: Path) -> None:
    """Refuse weights that are no plain tensors of finite numbers.

    Raises:
        DataError: naming the file and the weight.
    """
    for name, weight in weights.items():
        if not isinstance(name, str) or not isinstance(weight, torch.Tensor):
            raise DataError(f"{path}: state_dict.{name}: this is no tensor; train the detector again.")
        plain = weight.layout == torch.strided and weight.device.type == "cpu" and not weight.is_quantized
        if not plain or weight.is_complex():
            raise DataError(f"{path}: state_dict.{name}: this is no plain tensor; train the detector again.")
        if weight.numel() * weight.element_size() > weight.untyped_storage().nbytes():
            raise DataError(
                f"{path}: state_dict.{name}: it claims more numbers than the file holds; do not use it."
            )
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise DataError(
                f"{path}: state_dict.{name}: it holds numbers that are not finite; train the detector again."
            )
