"""Where a detector computes, and with how many bits."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

import torch

from neuroseg.detector import assigning, proposing, roi_align, upsampling
from neuroseg.tables import DataError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Names of glibc's malloc.h."""


def place(model: torch.nn.Module, device: torch.device) -> None:
    """Bring a two-stage detector to a device, in the shape that suits it there."""
    model.to(device, memory_format=torch.channels_last if _bears_channels_last(model) else torch.contiguous_format)
    if device.type == "cpu":
        assigning.quicken(model)
        proposing.quicken(model)
        roi_align.quicken(model)
        upsampling.quicken(model)
    _keep_boxes_in_float(model)


def choose_device(name: str = "auto", number: int = 0) -> torch.device:
    """Return the device of a name: auto (GPU `number` where there is one), cpu, cuda, cuda:1, ...

    On a CPU, PyTorch then takes the threads that OMP_NUM_THREADS grants, one if it is unset: on a busy machine two
    threads that wait for each other are many times slower than one.
    """
    there = torch.cuda.is_available()
    if name.startswith("cuda") and not there:
        raise DataError(f"device {name}: PyTorch finds no GPU here; choose auto or cpu.")
    device = torch.device((f"cuda:{number}" if there else "cpu") if name == "auto" else name)
    if device.type == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0]))
        torch.utils.deterministic.fill_uninitialized_memory = False  # 6 % of a training, to guard against nothing here
        _keep_freed_memory()
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the number format of a precision: fp32, bf16, fp16, or auto, the fastest sound one of the device."""
    if name != "auto":
        return DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _keep_freed_memory() -> None:
    """Make the C library keep what is freed for the next tensors, up to 2 GiB, where that library is glibc.

    Left to itself it hands a large tensor's memory back to the system, which clears every page before it lends it
    again: a tenth of a training.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option:
        set_option(M_MMAP_MAX, 0)
        set_option(M_TRIM_THRESHOLD, 2**31 - 1)


def _bears_channels_last(model: torch.nn.Module) -> bool:
    """Tell whether oneDNN can be trusted with channels that lie side by side.

    Under torch 2.13 (oneDNN 3.12) the backward pass of a strided 1 x 1 convolution of fewer than 16 channels writes
    beyond its memory: "double free or corruption".
    """
    convolutions = (part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
    return not any(max(each.stride) > max(each.kernel_size) and each.in_channels < 16 for each in convolutions)


def _keep_boxes_in_float(model: torch.nn.Module) -> None:
    """Make boxes and scores of a two-stage detector 32-bit, whatever its convolutions compute in.

    MMCV's RoIAlign and NMS have no bfloat16 kernels, and with 8 bits scores tie and a box at pixel 500 moves by two.
    """
    roi_head = model.roi_head
    for head in (model.rpn_head, *stages(roi_head.bbox_head)):
        head.register_forward_hook(_floats_after)
    for extractor in (*stages(roi_head.bbox_roi_extractor), *stages(roi_head.mask_roi_extractor)):
        extractor.register_forward_pre_hook(_floats_before)


def stages(part: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the stages of a cascade's part; a plain head is a cascade of one."""
    return list(part) if isinstance(part, torch.nn.ModuleList) else [part]


def _floats_after(_: torch.nn.Module, __: tuple, output: Any) -> Any:
    return _floats(output)


def _floats_before(_: torch.nn.Module, inputs: tuple) -> tuple:
    return _floats(inputs)


def _floats(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_floats(item) for item in value)
    return value.float() if isinstance(value, torch.Tensor) else value
