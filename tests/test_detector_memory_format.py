"""RoI operators read feature maps channel after channel, however convolutions before them lay out memory."""

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroseg.detector import configuration
from neuroseg.detector.caps import Kept
from neuroseg.detector.inference import Predictor
from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import MODELS, Config, DetDataSample, InstanceData
from neuroseg.detector.precision import place, stages

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
NARROW = {
    "cascade_mask_rcnn_tiny": {"backbone": {"base_channels": 16}},
    "cascade_mask_rcnn_r50": {
        "backbone": {"base_channels": 16},
        "neck": {"in_channels": [64, 128, 256, 512], "out_channels": 16},
        "rpn_head": {"in_channels": 16, "feat_channels": 16},
        "roi_head": {
            "bbox_roi_extractor": {"out_channels": 16},
            "mask_roi_extractor": {"out_channels": 16},
            "bbox_head": {"in_channels": 16, "fc_out_channels": 32},
            "mask_head": {"in_channels": 16, "conv_out_channels": 16},
        },
    },
}


def config_of(name: str) -> Config:
    """A model file's config, its layers narrow enough for a test."""
    config = configuration.fit(
        configuration.read(ROOT / "configs/models" / f"{name}.py"), ["astro", "cort"]
    ).to_dict()

    def narrow(part: dict, changes: dict) -> None:
        for key, change in changes.items():
            if not isinstance(change, dict):
                part[key] = change
            else:
                for each in part[key] if isinstance(part[key], list) else [part[key]]:
                    narrow(each, change)

    narrow(config["model"], NARROW[name])
    return Config(config)


def build(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.build(config_of(name).model).eval()


def maps(strides: list[int], layout: torch.memory_format, channels: int = 16) -> list[torch.Tensor]:
    """Maps of two images of 128 x 160 pixels, equal in every layout."""
    random = torch.Generator().manual_seed(1)
    drawn = [torch.randn(2, channels, 128 // k, 160 // k, generator=random) for k in strides]
    return [each.contiguous(memory_format=layout) for each in drawn]


def rois(count: int = 40) -> torch.Tensor:
    random = torch.Generator().manual_seed(2)
    corners = torch.rand(count, 2, generator=random) * 80
    sides = torch.rand(count, 2, generator=random) * 60 + 2
    return torch.cat([torch.arange(count).remainder(2)[:, None].float(), corners, corners + sides], 1)


def extractors(model: torch.nn.Module) -> list[torch.nn.Module]:
    return [*stages(model.roi_head.bbox_roi_extractor), *stages(model.roi_head.mask_roi_extractor)]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_r50s_extractors_pool_the_same_from_every_memory_layout(layout):
    model = build("cascade_mask_rcnn_r50")
    strides = list(model.roi_head.bbox_roi_extractor[0].featmap_strides)
    expected = [each(maps(strides, torch.contiguous_format), rois()) for each in extractors(model)]
    place(model, CPU)
    assert {layer.sampling_ratio for each in extractors(model) for layer in each.roi_layers} == {0}
    for extract, pooled in zip(extractors(model), expected, strict=True):
        assert torch.equal(extract(maps(strides, layout), rois()), pooled)


def test_an_extractor_laid_out_anew_passes_gradients_on():
    model = build("cascade_mask_rcnn_r50")
    strides = list(model.roi_head.bbox_roi_extractor[0].featmap_strides)
    place(model, CPU)
    slopes = []
    for layout in (torch.channels_last, torch.contiguous_format):
        features = [each.requires_grad_() for each in maps(strides, layout)]
        sum((extract(features, rois()) ** 2).sum() for extract in extractors(model)).backward()
        slopes.append([each.grad for each in features])
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*slopes, strict=True))


def test_maps_are_laid_out_once_for_all_extractors_and_let_go_with_the_batch():
    model = build("cascade_mask_rcnn_r50")
    strides = list(model.roi_head.bbox_roi_extractor[0].featmap_strides)
    place(model, CPU)
    seen = []
    for extract in extractors(model):
        extract.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    features = maps(strides, torch.channels_last)
    for extract in extractors(model):
        extract(features, rois())
    assert all(each.is_contiguous() for inputs in seen for each in inputs)
    assert {tuple(each.data_ptr() for each in inputs) for inputs in seen} == {
        tuple(each.data_ptr() for each in seen[0])
    }
    copy = weakref.ref(seen[0][0])
    seen.clear()
    assert copy() is not None
    del features
    assert copy() is None


def test_a_map_seen_without_gradients_is_laid_out_again_for_learning():
    model = build("cascade_mask_rcnn_r50")
    strides = list(model.roi_head.bbox_roi_extractor[0].featmap_strides)
    place(model, CPU)
    features = [each.requires_grad_() for each in maps(strides, torch.channels_last)]
    extract = extractors(model)[0]
    with torch.no_grad():
        extract(features, rois())
    assert extract(features, rois()).requires_grad


def truth() -> list[DetDataSample]:
    """Two discs, one in each of two images of 128 x 160 pixels."""
    y, x = np.mgrid[:24, :24] - 11.5
    samples = []
    for k in range(2):
        masks = CellMasks([(y**2 + x**2) <= 144], [(20 + 40 * k, 30)], 128, 160)
        boxes = torch.tensor([[20.0 + 40 * k, 30, 44 + 40 * k, 54]])
        sample = DetDataSample(
            metainfo={"img_shape": (128, 160), "pad_shape": (128, 160), "scale_factor": (1.0, 1.0)}
        )
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([k]), masks=masks)
        samples.append(sample)
    return samples


@pytest.mark.parametrize("name", sorted(NARROW))
@pytest.mark.parametrize("kernels", [True, False])
def test_losses_are_those_of_the_model_before_it_was_placed(name, kernels):
    model = build(name)
    inputs = torch.randn(2, 3, 128, 160, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(4)
    expected = model.loss(inputs, truth())
    place(model, CPU, kernels=kernels)
    torch.manual_seed(4)
    placed = model.loss(inputs.contiguous(memory_format=torch.channels_last), truth())
    assert expected.keys() == placed.keys()
    for name_of_loss, value in expected.items():
        both = value, placed[name_of_loss]
        one, other = (torch.stack(list(each)) if isinstance(each, list) else each for each in both)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")  # in MMDetection's pasting
@pytest.mark.parametrize("kernels", [True, False])
def test_a_placed_detector_finds_what_it_found_before(kernels):
    """Random weights: boxes and scores depend on what is pooled all the same."""
    name = "cascade_mask_rcnn_tiny"
    model, image = build(name), np.random.default_rng(0).integers(90, 170, (128, 160), dtype=np.uint8)
    config = config_of(name).to_dict() | {"cpu_kernels": kernels}
    fitted = {"model": name, "fold": 0, "config": config, "state_dict": model.state_dict()}
    predictor = Predictor(fitted, CPU, torch.float32, Kept(200, 0.0))
    model.roi_head.test_cfg.update(score_thr=0.0, max_per_img=200)
    packed = predictor.prepare({"img": image, "ori_shape": image.shape, "img_shape": image.shape})
    with torch.inference_mode():
        expected = model.test_step({key: [value] for key, value in packed.items()})[0].pred_instances
    assert predictor.model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    found = predictor([image])[0]
    boxes, scores = expected.bboxes.numpy(), expected.scores.numpy()
    large = (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)  # the others are left out of what is found
    assert len(found.scores) == large.sum() > 50
    np.testing.assert_allclose(found.scores, scores[large], atol=1e-4)
    nearest = np.abs(found.boxes[:, None] - boxes).max(axis=2).min(axis=1)
    assert (nearest < 0.05).mean() > 0.95
