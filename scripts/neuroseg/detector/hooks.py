"""What a training does between its iterations."""

from __future__ import annotations

import math
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroseg.detector import processes
from neuroseg.detector.checkpoints import read_weights, write_state
from neuroseg.detector.openmmlab import EMAHook, Hook, Runner
from neuroseg.detector.pretrained import PACKAGED, renamed
from neuroseg.detector.progress import clock, say
from neuroseg.errors import DataError
from neuroseg.files import write_json

COST = "cost.json"
"""Name of the note of what a training took, `cpu_s`, in the folder of its states."""


class Reseed(Hook):
    """Tie the random numbers of each iteration to the seed and its number.

    So a resumed training draws what the uninterrupted one would have drawn, and no generator's state need be
    kept.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the three generators that MMDetection draws from, on every device."""
        sequence = np.random.SeedSequence((self.seed, 3, runner.iter), spawn_key=(processes.rank(),))
        state = int(sequence.generate_state(1)[0])
        random.seed(state)
        np.random.seed(state)  # noqa: NPY002
        torch.manual_seed(state)


class Journal(Hook):
    """Note the losses, and say now and then how far the training is.

    Args:
        points: Points of the curve, at most.
        pause: Seconds between two lines.
    """

    def __init__(self, points: int = 200, pause: float = 15) -> None:
        self.points, self.pause = points, pause
        self.curve: dict[str, list[float]] = {"iteration": [], "lr": []}
        self.sums: dict[str, float] = {}
        self.summed, self.warm = 0, False  # whether a step was done
        self.heard: list[float] = []  # total losses since the last line

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self.every = max(1, runner.max_iters // self.points)
        self.first, self.began = runner.iter, time.monotonic()
        self.spoke, self.warm = self.began, False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Add the losses of an iteration to the curve."""
        losses = processes.mean(_numbers({name: value for name, value in outputs.items() if "loss" in name}))
        if not math.isfinite(losses["loss"]):
            raise DataError(
                f"the loss is {losses['loss']} at iteration {runner.iter + 1}; "
                "lower optim_wrapper.optimizer.lr in the model file, or warm up longer."
            )
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.summed += 1
        self.heard.append(losses["loss"])
        done, now = runner.iter + 1, time.monotonic()
        if (self.warm and now - self.spoke >= self.pause) or done == runner.max_iters:
            left = (now - self.began) / max(1, done - self.first) * (runner.max_iters - done)
            loss = sum(self.heard) / len(self.heard)
            say(f"iteration {done}/{runner.max_iters}, loss {loss:.3f}, {clock(left)} left")
            self.heard, self.spoke = [], now
        if not self.warm:  # the first sets up what the others use, and would make the time left too long
            self.first, self.began, self.warm = done, now, True
        if done % self.every == 0 or done == runner.max_iters:
            self.curve["iteration"].append(done)
            self.curve["lr"].append(runner.optim_wrapper.get_lr()["lr"][0])
            for name, value in self.sums.items():
                self.curve.setdefault(name, []).append(value / self.summed)
            self.sums, self.summed = {}, 0

    def state_dict(self) -> dict:
        """Return what a resumed training goes on from."""
        return {"curve": self.curve, "sums": self.sums, "summed": self.summed}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state."""
        self.curve, self.sums, self.summed = state["curve"], state["sums"], state["summed"]


class WarmStart(Hook):
    """Begin with weights learnt elsewhere.

    Args:
        model: What to call the model.
        sources: What to call each set of weights, and the weights by name: a detector's or its backbone's
            alone. Those whose name or shape the model lacks are left out: the heads of other cell types.
            Later sets go over earlier ones.
    """

    def __init__(self, model: str, sources: Sequence[tuple[str, dict[str, torch.Tensor]]]) -> None:
        self.model, self.sources = model, sources
        self.said: list[str] = []  # for the log of a resumed training, which takes this one's place

    def before_train(self, runner: Runner) -> None:
        """Fill the model, and name the layers that start as its model file starts them."""
        model = processes.bare(runner.model)
        own = model.state_dict()
        begun: dict[str, str] = {}  # which source each weight is of
        for source, weights in self.sources:
            given = renamed(weights, own).items()
            fitting = {name: each for name, each in given if name in own and each.shape == own[name].shape}
            if not fitting:
                raise DataError(
                    f"{source}: none of its weights fits the model; "
                    "take a checkpoint of the same model or backbone."
                )
            if len(fitting) < len(weights) / 2:
                self._say(
                    f"note: {source} is of another architecture than {self.model}: {len(fitting)} of its "
                    f"{len(weights)} weights fit, so that little of what it has learnt is taken over"
                )
            model.load_state_dict(fitting, strict=False)
            begun |= dict.fromkeys(fitting, source)
        for source, count in Counter(begun.values()).items():
            self._say(f"began with {count} of {len(own)} weights from {source}")
        layers = sorted({name.rpartition(".")[0] for name in own.keys() - begun.keys()})
        if layers:
            self._say(f"initialised anew: {', '.join(layers)}")

    def _say(self, line: str) -> None:
        self.said.append(line)
        say(line)


def beginnings(load_from: str | None, init_from: Path | None) -> list[str]:
    """Return the weights that a training begins with, later ones going over earlier ones.

    Args:
        load_from: The model file's word: a file, an address, or the name of a package's weights.
        init_from: A fitted detector, which goes before it; but what it lacks a package may have.
    """
    names = [load_from] if load_from and (not init_from or load_from in PACKAGED) else []
    return names + ([str(init_from)] if init_from else [])


def warm_start(model: str, sources: Sequence[str]) -> list[WarmStart]:
    """Return what begins the training of a model, so called, with weights learnt elsewhere, if any."""
    return [WarmStart(model, [(name, read_weights(name)) for name in sources])] if sources else []


class Keeper(Hook):
    """Keep the state of the training, and take up a kept one.

    Args:
        folder: Where the states lie.
        every: Iterations between two states.
        fingerprint: Of the training.
        journal: Whose curve belongs to the state.
        state: The state to take up; None at the beginning.
    """

    priority = "VERY_LOW"  # after the averaged weights and the learning rate have moved on

    def __init__(
        self, folder: Path, every: int, fingerprint: str, journal: Journal, state: dict | None
    ) -> None:
        self.folder, self.every, self.fingerprint, self.journal, self.state = (
            folder,
            every,
            fingerprint,
            journal,
            state,
        )
        earlier = state.get("cpu_s", math.nan) if state else 0.0  # a former release's state says nothing
        self.before = sum(os.times()[:4]) - earlier

    def write_cost(self) -> None:
        """Write the CPU seconds that the training took, those before it was stopped as well, as COST."""
        path, seconds = self.folder / COST, self._cpu_seconds()
        if math.isfinite(seconds):
            write_json({"cpu_s": round(seconds, 1)}, path)
        else:
            path.unlink(missing_ok=True)

    def before_train(self, runner: Runner) -> None:
        """Take up the state, now that everything it fills is built, and say again how the training began."""
        if self.state is None:
            self.began = [line for hook in runner.hooks if isinstance(hook, WarmStart) for line in hook.said]
            return
        self.began = self.state.get("began", [])  # a former release's state says nothing
        for line in self.began:
            say(line)
        processes.bare(runner.model).load_state_dict(self.state["model"])
        for hook, kept in zip(_averaging(runner), self.state["averages"], strict=True):
            hook.ema_model.load_state_dict(kept)
        runner.optim_wrapper.load_state_dict(self.state["optimizer"])
        for scheduler, kept in zip(runner.param_schedulers, self.state["schedulers"], strict=True):
            scheduler.load_state_dict(kept)
        self.journal.load_state_dict(self.state["journal"])
        self.state = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep the state at its time, and at the end."""
        done = runner.iter + 1
        if processes.rank() == 0 and (done % self.every == 0 or done == runner.max_iters):
            write_state(self.folder, done, self._state(runner, done))

    def _cpu_seconds(self) -> float:
        return sum(os.times()[:4]) - self.before  # of this process, and of those that have worked for it

    def _state(self, runner: Runner, done: int) -> dict:
        return {
            "fingerprint": self.fingerprint,
            "iteration": done,
            "model": processes.bare(runner.model).state_dict(),
            "averages": [hook.ema_model.state_dict() for hook in _averaging(runner)],
            "optimizer": runner.optim_wrapper.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
            "journal": self.journal.state_dict(),
            "cpu_s": self._cpu_seconds(),
            "began": self.began,
        }


def fitted_weights(runner: Runner) -> dict[str, torch.Tensor]:
    """Return the weights to predict with, on the CPU: the averaged ones where the model file averages."""
    average = next((hook.ema_model.module for hook in _averaging(runner)), processes.bare(runner.model))
    return {
        name: weight.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, weight in average.state_dict().items()
    }


def _numbers(losses: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return scalars' values, read from their device together: each reading would wait for the whole step."""
    values = torch.stack([value.detach().float().reshape(()) for value in losses.values()]).tolist()
    return dict(zip(losses, values, strict=True))


def _averaging(runner: Runner) -> list[EMAHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
