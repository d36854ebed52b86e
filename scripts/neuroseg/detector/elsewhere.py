"""A fitted detector for a stock MMDetection: a config that its `init_detector` and `inference_detector` take.

Source: https://mmdetection.readthedocs.io/en/latest/user_guides/inference.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from neuroseg.detector.openmmlab import TRANSFORMS, BaseTransform, Config
from neuroseg.readers import read_uint8


@TRANSFORMS.register_module()
class LoadGrey(BaseTransform):
    """Read an image as `predict` reads it, whatever its file format and its bits."""

    def transform(self, results: dict) -> dict:
        """Turn `img_path` into `img`, a grey image, uint8 (height, width), with its shapes."""
        image = read_uint8(Path(results["img_path"]))
        return {**results, "img": image, "img_shape": image.shape, "ori_shape": image.shape}


def standalone(config: Config, classes: Sequence[str]) -> Config:
    """Return a fitted config with what a stock MMDetection asks of one, besides.

    Args:
        config: What `configuration.fit` returned.
        classes: The cell types, in the order of the labels.
    """
    dataset = {
        "type": "BaseDetDataset",
        "metainfo": {"classes": tuple(classes)},
        "test_mode": True,
        "pipeline": [{"type": "LoadGrey"}, *config.test_pipeline],
    }
    return Config(
        {
            **config.to_dict(),
            "default_scope": "mmdet",
            "custom_imports": {"imports": ["neuroseg.detector"], "allow_failed_imports": False},
            "test_dataloader": {
                "batch_size": 1,
                "num_workers": 0,
                "sampler": {"type": "DefaultSampler", "shuffle": False},
                "dataset": dataset,
            },
        }
    )


def dataset_meta(classes: Sequence[str]) -> dict:
    """Return what a stock MMDetection reads from a checkpoint besides weights: the names of the labels."""
    return {"dataset_meta": {"classes": list(classes)}}
