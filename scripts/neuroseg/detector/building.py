"""Build a fitted detector's network, its settings checked, in little more memory than its weights."""

from __future__ import annotations

import math
import re
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch.utils._python_dispatch import TorchDispatchMode

from neuroseg.detector.openmmlab import MODELS, BaseTransform, Compose, Config, Hook, TwoStageDetector
from neuroseg.errors import DataError

PARTS = (BaseTransform, Hook, torch.nn.Module)
"""What a model file is made of, and is to blame for."""

SPARE = 10_000_000
"""Numbers that building may take beyond four times the weights themselves."""


def build(config: Config, weights: dict[str, torch.Tensor], name: str) -> tuple[TwoStageDetector, Compose]:
    """Return the network of a checked configuration, with its weights, and what prepares its images.

    Args:
        config: The sections BUILT.
        weights: Its `state_dict`; building takes little more memory than they do.
        name: What to call the detector in an error.

    Raises:
        DataError: there is no such network, or the weights are another one's.
    """
    try:
        with _Bounded(4 * sum(weight.numel() for weight in weights.values()) + SPARE):
            model = MODELS.build(config.model)
        model.load_state_dict(weights)
        if not (model.rpn_head and model.roi_head.mask_head):
            raise ValueError("no proposals or no masks")
        return model, Compose(config.test_pipeline)
    except Exception as error:  # MMDetection's parts raise whatever unfit settings lead to
        raise DataError(
            f"{name}: its configuration and its weights make no network of boxes and masks ({reason(error)})."
        ) from error


def usable(name: str) -> AbstractContextManager[None]:
    """Name the detector, so called, whose settings keep an image from being looked at.

    Raises:
        DataError: in place of any other error than those of a GPU.
    """
    return _told(name, "with its settings no image can be looked at", "train it again")


def buildable(model: Path, beginning: Callable[[], bool] = lambda: True) -> AbstractContextManager[None]:
    """Name the model file with a part that MMDetection does not know, or a setting that it cannot use.

    Args:
        model: The file.
        beginning: Whether what goes wrong is still to be laid to the file, as in a training's first step.

    Raises:
        DataError: in place of any other error than those of a GPU.
    """
    return _told(
        str(model), "MMDetection cannot train what it describes", "mend that name or setting", beginning
    )


def reason(error: BaseException) -> str:
    """Return what went wrong, and in which of MMDetection's parts or ours."""
    if isinstance(error, ValidationError):
        faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        said = f"{error.title.removesuffix('.__init__')}: {'; '.join(faults)}"
        return said.replace("Input should be", "must be")
    text = str(error)
    if "Original Traceback" in text:  # as a process that feeds a GPU hands it on
        return text.strip().splitlines()[-1]
    text, _, _ = text.partition(". Please check whether")  # a registry goes on with addresses
    text = re.sub(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-f]+>", r"\1", text)
    text = textwrap.shorten(text, 200, placeholder=" …")
    steps = traceback.extract_tb(error.__traceback__)
    if not text and steps:  # as of a bare `assert`
        text = str(steps[-1].line)
    # A frame's locals would tell the class as well, and keep the error and all that it holds alive.
    running = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    owners = [each.f_globals.get(each.f_code.co_qualname.partition(".")[0]) for each in running]
    named = [each.__name__ for each in owners if isinstance(each, type) and issubclass(each, PARTS)]
    return f"{type(error).__name__}{f' in {named[-1]}' if named else ''}: {text}"


@contextmanager
def _told(name: str, fault: str, cure: str, applies: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Put whatever MMDetection's parts raise into one sentence."""
    try:
        yield
    except (DataError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        if not applies():
            raise
        raise DataError(f"{name}: {fault} ({reason(error)}); {cure}.") from error


class _Bounded(TorchDispatchMode):
    """Refuses to allocate more numbers, all in all, than a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.left = limit

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        shape = next(
            (arg for arg in args if isinstance(arg, list | tuple) and all(isinstance(n, int) for n in arg)),
            (),
        )
        if not any(isinstance(arg, torch.Tensor) for arg in args):
            self.left -= math.prod(shape)
        if self.left < 0:
            raise MemoryError("its configuration asks for far more memory than its weights take")
        return func(*args, **(kwargs or {}))
