"""Where a detector computes, and with how many bits."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from neuroseg.detector.cpu import accelerate
from neuroseg.detector.openmmlab import (
    OPTIM_WRAPPERS,
    OptimWrapper,
    TwoStageDetector,
    get_compiling_cuda_version,
)
from neuroseg.detector.progress import say
from neuroseg.detector.roi_features import feed_extractors
from neuroseg.errors import DataError

_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
"""What CPUs are capable of that compute in bf16 twice as fast as in fp32."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Names of glibc's malloc.h."""


def place(model: TwoStageDetector, device: torch.device, kernels: bool = True) -> None:
    """Bring a two-stage detector to a device, in the memory layout that suits it there.

    Args:
        model: Changed in place.
        device: Where it is to compute.
        kernels: Whether our kernels stand in for MMDetection's parts on a CPU.
    """
    model.to(
        device, memory_format=torch.channels_last if _bears_channels_last(model) else torch.contiguous_format
    )
    if device.type == "cpu" and kernels:
        accelerate(model)
    _keep_outputs_in_float(model)
    feed_extractors(model)


def choose_device(name: str = "auto", number: int = 0) -> torch.device:
    """Return the device of a name: auto (GPU `number` where one can be used), cpu, cuda, cuda:1, ...

    A GPU can be used where PyTorch finds it and MMCV's operators were compiled for GPUs; auto says why it
    takes the CPU though there is a GPU.

    Raises:
        DataError: a GPU is asked for by name and cannot be used.
    """
    if name != "auto" and not name.startswith("cuda"):
        return torch.device(name)
    obstacle = _obstacle()
    if name != "auto" and obstacle:
        raise DataError(f"device {name}: {obstacle}; choose auto or cpu.")
    if name != "auto":
        return torch.device(name)
    if obstacle and torch.cuda.is_available():
        say(f"computing on the CPU, though there is a GPU: {obstacle}")
    return torch.device("cpu" if obstacle else f"cuda:{number}")


def _obstacle() -> str | None:
    """Return why no GPU can be used here; None where one can."""
    if not torch.cuda.is_available():
        return "PyTorch finds no GPU here"
    if not re.match(r"\d", get_compiling_cuda_version()):
        return (
            "MMCV's operators here are compiled for the CPU only, "
            "as no nvcc of PyTorch's CUDA version was there; "
            "install that CUDA toolkit, let CUDA_HOME name it, and make the environment anew (docs/setup.md)"
        )
    return None


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return a precision's number format: fp32, bf16, fp16, or auto, a GPU's fastest sound one, a CPU's fp32.

    A CPU without instructions for bf16, which would take longer, computes in fp32 instead and says so.
    """
    able = torch.cpu.get_capabilities()
    if name == "bf16" and device.type == "cpu" and not any(able.get(instructions) for instructions in _BF16):
        say("note: this CPU has no instructions for bf16: computing in fp32")
        return torch.float32
    if name != "auto":
        return DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def named_dtype(dtype: torch.dtype) -> str:
    """Return what a number format is called in settings."""
    return next(name for name, each in DTYPES.items() if each == dtype)


def optimiser(settings: dict, dtype: torch.dtype, device: torch.device) -> dict:
    """Return a model file's `optim_wrapper`, made to learn in a number format on a device.

    Weights, their averages and the optimiser's moments stay in 32 bits.
    """
    if dtype == torch.float32:
        return settings
    if device.type == "cpu":
        return settings | {"type": "CpuOptimWrapper", "dtype": dtype}
    return settings | {"type": "AmpOptimWrapper", "dtype": str(dtype).removeprefix("torch.")}


@OPTIM_WRAPPERS.register_module()
class CpuOptimWrapper(OptimWrapper):
    """Learns with fewer bits on a CPU, where MMEngine's own wrapper asks for a GPU.

    Args:
        dtype: Of convolutions and matrix products. bf16 has the range of 32 bits: losses need no scaling.
        settings: Of MMEngine's OptimWrapper.
    """

    def __init__(self, dtype: torch.dtype, **settings: Any) -> None:
        super().__init__(**settings)
        self.dtype = dtype

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Compute the losses with fewer bits; their slopes follow."""
        with super().optim_context(model), torch.autocast("cpu", self.dtype):
            yield


def prepare_cpu(name: str = "auto") -> None:
    """Set up this process for a detector on the CPU, and say so; do nothing where the device names a GPU.

    To be called by a program at its beginning, not by a library. PyTorch takes the threads that
    OMP_NUM_THREADS grants, one if it is unset: on a busy machine two threads that wait for each other are
    many times slower than one. Freed memory, up to 2 GiB, is kept for the next tensors (glibc only): handed
    back, every page is cleared before it is lent again, a tenth of a training. New tensors are not filled in
    PyTorch's deterministic mode, 6 % of a training.
    """
    if name != "cpu" and not (name == "auto" and _obstacle()):
        return
    threads = int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0])
    torch.set_num_threads(threads)
    # PyTorch's stub lacks the attribute, which the module makes as it is imported.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option:
        set_option(M_MMAP_MAX, 0)
        set_option(M_TRIM_THRESHOLD, 2**31 - 1)
    say(f"on a CPU: {threads} thread{'s' if threads > 1 else ''} (OMP_NUM_THREADS), freed memory is kept")


def _bears_channels_last(model: torch.nn.Module) -> bool:
    """Tell whether oneDNN can be trusted with channels that lie side by side.

    Under torch 2.13 (oneDNN 3.12) the backward pass of a strided 1 x 1 convolution of fewer than 16 channels
    writes beyond its memory: "double free or corruption".
    """
    convolutions = (part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
    return not any(
        max(each.stride) > max(each.kernel_size) and each.in_channels < 16 for each in convolutions
    )


def _keep_outputs_in_float(model: TwoStageDetector) -> None:
    """Make boxes, scores and masks of a two-stage detector 32-bit, whatever its convolutions compute in.

    MMCV's NMS has no bfloat16 kernel, and with 8 bits scores tie and a box at pixel 500 moves by two.
    Losses are computed from 32 bits as well.
    """
    heads = *stages(model.roi_head.bbox_head), *stages(model.roi_head.mask_head)
    for head in (model.rpn_head, *heads):
        head.register_forward_hook(_floats_after)


def stages(part: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the stages of a cascade's part; a plain head is a cascade of one."""
    return list(part) if isinstance(part, torch.nn.ModuleList) else [part]


def _floats_after(_: torch.nn.Module, __: tuple, output: Any) -> Any:
    return _floats(output)


def _floats(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_floats(item) for item in value)
    return value.float() if isinstance(value, torch.Tensor) else value
