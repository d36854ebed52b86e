"""MMEngine's runner, as a training uses it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from neuroseg.detector import processes
from neuroseg.detector.dataset import CellDataset, Numbers
from neuroseg.detector.openmmlab import Config, Runner, pseudo_collate
from neuroseg.detector.precision import optimiser, place


def build(
    config: Config,
    dataset: CellDataset,
    hooks: Sequence,
    device: torch.device,
    seed: int,
    work_dir: Path,
    dtype: torch.dtype,
) -> Runner:
    """Return what trains a model by a file's config; its only files are MMEngine's own, in `work_dir`."""
    gpu = device.type == "cuda"
    workers = config.train_dataloader.num_workers if gpu else 0  # on a CPU they take the network's cores
    built = Runner(
        model=config.model,
        work_dir=str(work_dir / "mmengine"),
        train_dataloader=DataLoader(
            dataset,
            batch_size=config.train_dataloader.batch_size,
            sampler=Numbers(len(dataset)),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=gpu,
            collate_fn=pseudo_collate,
        ),
        train_cfg=config.train_cfg,
        optim_wrapper=optimiser(config.optim_wrapper.to_dict(), dtype, device),
        param_scheduler=config.param_scheduler,
        default_hooks={"timer": None, "logger": None, "checkpoint": None},
        custom_hooks=[*config.custom_hooks, *hooks],
        env_cfg={"cudnn_benchmark": False},  # mask heads get batches of ever new sizes, each timed anew
        launcher="pytorch" if processes.count() > 1 else "none",
        cfg=_together(gpu),
        visualizer={"type": "Visualizer", "vis_backends": []},
        log_level="WARNING",
        default_scope="mmdet",
        randomness={"seed": seed, "deterministic": not gpu},
        experiment_name=str(uuid.uuid4()),  # MMEngine keeps apart what bears one name
    )
    place(processes.bare(built.model), device, kernels=config.cpu_kernels)
    # Before the training rather than in it, so that a setting that cannot be is told as one.
    built.optim_wrapper = built.build_optim_wrapper(built.optim_wrapper)
    built.param_schedulers = built.build_param_scheduler(built.param_schedulers)
    return built


def _together(gpu: bool) -> dict:
    """Return how several processes share a model; PyTorch can normalise over all batches on GPUs only."""
    if gpu:
        return {"sync_bn": "torch"}
    return {"model_wrapper_cfg": {"device_ids": None, "broadcast_buffers": False}}
