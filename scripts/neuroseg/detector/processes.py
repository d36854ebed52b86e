"""The processes of one training: one on a CPU or a single GPU, one a GPU where torchrun started several."""

from __future__ import annotations

import os

import torch


def count() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return which of them this one is; 0 speaks and writes for all."""
    return int(os.environ.get("RANK", "0"))


def device_number() -> int:
    """Return which of this machine's GPUs is this process's."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def initialise(device: torch.device) -> None:
    """Have the processes find each other, for work on their GPUs or on CPUs."""
    if count() > 1:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")


def mean(values: dict[str, float]) -> dict[str, float]:
    """Return the mean of each value over all processes, which must give the same names."""
    if count() == 1:
        return values
    names = sorted(values)
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor([values[name] for name in names], dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return dict(zip(names, (total / count()).tolist(), strict=True))


def bare(model: torch.nn.Module) -> torch.nn.Module:
    """Return a model without what distributes it."""
    return model.module if isinstance(model, torch.nn.parallel.DistributedDataParallel) else model


def destroy() -> None:
    """End the common work, so that no process waits for another's exit."""
    if count() > 1:
        torch.distributed.destroy_process_group()
