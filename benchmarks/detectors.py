"""What races of detectors share: a data set's tables and pictures, the clock, and turns."""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neuroseg import readers, tables
from neuroseg.detector.openmmlab import Hook, Runner

AS_WRITTEN = argparse.RawDescriptionHelpFormatter
DEMO = Path("results/demo")

WARM = 3
"""Iterations that are not counted: the first ones choose kernels and fill caches."""


def listed(results: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the images, true instances and folds of a data set's results folder."""
    places = {"images": "validate/images", "instances": "validate/instances", "folds": "split/folds"}
    images, instances, folds = (tables.read(name, results / f"{at}.parquet") for name, at in places.items())
    return images, instances, folds


@lru_cache(maxsize=256)
def load(path: Path) -> np.ndarray:
    """Return an image's grey values, read once."""
    return readers.read_uint8(path)


class Watch(Hook):
    """Counts the seconds of all iterations but the first few."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin at zero."""
        self.began = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Start after the first iterations, stop after the last."""
        if runner.iter + 1 == WARM:
            self.began = clock(self.device)
        if runner.iter + 1 == runner.max_iters:
            self.seconds = (clock(self.device) - self.began) / (runner.max_iters - WARM)


def in_turns(theirs: Callable[[], float], ours: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the medians of both over rounds in which they take turns."""
    seconds = [[], []]
    for _ in range(rounds):
        for side, work in enumerate((theirs, ours)):
            seconds[side].append(work())
            name = ("stock", "neuroseg")[side]
            print(f"{name}: {seconds[side][-1]:.3f} s an image", file=sys.stderr, flush=True)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def timed(work: Callable, device: torch.device) -> float:
    """Return the seconds that a call takes, as `clock` counts them."""
    began = clock(device)
    work()
    return clock(device) - began


def clock(device: torch.device) -> float:
    """Return seconds: on a GPU the clock's, once it has nothing left to do, on a CPU the process's own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def machine(device: torch.device) -> str:
    """Say what was measured on."""
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else f"{platform.machine()} CPU, one thread"
    return f"{name}, PyTorch {torch.__version__}"
