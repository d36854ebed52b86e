"""The CPU kernels: each equals the part of MMDetection that it replaces, and one switch leaves them out."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neuroseg.detector import configuration, cpu, heads, openmmlab, precision
from neuroseg.detector.caps import Kept
from neuroseg.detector.cpu import depthwise, folding, proposing, upsampling
from neuroseg.detector.cpu.roi_align import CpuExtractor
from neuroseg.detector.inference import Predictor
from neuroseg.detector.openmmlab import MODELS, ConvModule, FCNMaskHead, SingleRoIExtractor
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]
TINY = ROOT / "configs/models/cascade_mask_rcnn_tiny.py"
CPU = torch.device("cpu")


# --------------------------------------------------------------------------------------------------- RoIAlign


@pytest.mark.parametrize("samples", [1, 2])
def test_the_cpus_extractor_equals_mmdetections(samples):
    torch.manual_seed(0)
    theirs = SingleRoIExtractor(
        {"type": "RoIAlign", "output_size": 7, "sampling_ratio": samples}, 6, [4, 8, 16]
    )
    corners = torch.rand(60, 2) * 80 - 10  # some boxes stick out of the image
    rois = torch.cat(
        [torch.randint(0, 2, (60, 1)).float(), corners, corners + torch.rand(60, 2) * 300 + 1], 1
    )
    assert len(theirs.map_roi_levels(rois, 3).unique()) == 3
    values, slopes = [], []
    for extract in (theirs, CpuExtractor(theirs)):
        random = torch.Generator().manual_seed(1)
        maps = [torch.randn(2, 6, 64 // k, 80 // k, generator=random, requires_grad=True) for k in (4, 8, 16)]
        values.append(extract(maps, rois))
        (values[-1] ** 2).sum().backward()
        slopes.append([each.grad for each in maps])
    assert torch.allclose(*values, atol=1e-5)
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in zip(*slopes, strict=True))


def test_a_deconvolution_in_tiles_equals_pytorchs():
    torch.manual_seed(0)
    theirs = torch.nn.ConvTranspose2d(6, 5, 2, stride=2)
    ours = torch.nn.ConvTranspose2d(6, 5, 2, stride=2)
    ours.load_state_dict(theirs.state_dict())
    upsampling.replace(torch.nn.Sequential(ours))
    assert type(ours) is upsampling.TiledDeconvolution
    values, slopes = [], []
    for layer in (theirs, ours):
        features = torch.randn(3, 6, 4, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
        values.append(layer(features))
        (values[-1] ** 2).sum().backward()
        slopes.append((features.grad, layer.weight.grad, layer.bias.grad))
    assert torch.allclose(*values, atol=1e-5)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*slopes, strict=True))


@pytest.mark.parametrize(("upsample", "agnostic"), [("deconv", False), ("deconv", True), ("nearest", False)])
@pytest.mark.parametrize("n", [0, 3, 20])
@torch.inference_mode()
def test_the_logits_of_each_regions_own_type_equal_mmdetections(n, upsample, agnostic):
    torch.manual_seed(0)
    config = {"type": upsample, "scale_factor": 2}
    head = FCNMaskHead(2, 14, 8, 3, 8, num_classes=3, class_agnostic=agnostic, upsample_cfg=config).eval()
    features, types = torch.randn(n, 8, 14, 14), torch.arange(n) % 3
    theirs = head(features)[torch.arange(n), types * (not agnostic)]
    upsampling.replace(torch.nn.Sequential(head))
    ours = heads.own_logits(head, features, types)
    assert isinstance(head, upsampling.TiledMaskHead) == (upsample == "deconv")
    torch.testing.assert_close(ours, theirs)


def test_a_deconvolution_that_overlaps_itself_is_left_alone():
    layer = torch.nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1)
    upsampling.replace(torch.nn.Sequential(layer))
    assert type(layer) is torch.nn.ConvTranspose2d


# --------------------------------------------------------------- convolutions with normalisation folded in

SAME = {"type": "Conv2dAdaptivePadding"}


def normalised(channels: int = 6, kernel: int = 3, **settings) -> ConvModule:
    """A convolution with batch normalisation, in evaluation, its statistics unlike those it begins with."""
    torch.manual_seed(0)
    usual = {"norm_cfg": {"type": "BN", "eps": 1e-3}, "act_cfg": {"type": "ReLU6"}, "padding": kernel // 2}
    layer = ConvModule(6, channels, kernel, **(usual | settings))
    with torch.no_grad():
        for each in (layer.norm.weight, layer.norm.bias, layer.norm.running_mean, layer.norm.running_var):
            each.copy_(torch.rand(channels) + 0.5)
    return layer.eval()


def learnt(layer: ConvModule, features: torch.Tensor) -> list[torch.Tensor]:
    """What a layer makes of features, and the slopes of all it depends on."""
    features = features.contiguous(memory_format=torch.channels_last).requires_grad_()
    layer.zero_grad()
    values = layer(features)
    (values.float() * torch.linspace(-1, 1, values.numel()).view(values.shape)).sum().backward()
    return [values, features.grad, *(each.grad for each in layer.parameters())]


@pytest.mark.parametrize("activation", ["ReLU6", "ReLU", "Sigmoid", None])
@pytest.mark.parametrize("padding", [SAME, None])
@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(3, 1, 6), (5, 2, 6), (3, 2, 2), (1, 1, 1), (5, 1, 6)]
)
def test_a_folded_convolution_and_its_slopes_equal_mmcvs(kernel, stride, groups, padding, activation):
    settings = {"stride": stride, "groups": groups, "conv_cfg": padding}
    layer = normalised(kernel=kernel, act_cfg=activation and {"type": activation}, **settings)
    features = torch.randn(2, 6, 13, 8, generator=torch.Generator().manual_seed(1)) * 4
    theirs = learnt(layer, features.clone())
    folding.replace(torch.nn.Sequential(layer))
    assert type(layer) is folding.FoldedConvModule
    for ours, other in zip(learnt(layer, features.clone()), theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2)])
def test_a_depthwise_convolution_of_16_bits_is_near_that_of_32(kernel, stride):
    layer = normalised(kernel=kernel, stride=stride, groups=6, conv_cfg=SAME)
    folding.replace(torch.nn.Sequential(layer))
    features = torch.randn(2, 6, 13, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        narrow, of_narrow, *of_its_weights = learnt(layer, features.clone())
    wide, of_wide, *of_weights = learnt(layer, features.float())
    assert narrow.dtype == of_narrow.dtype == torch.bfloat16
    assert torch.allclose(narrow.float(), wide, rtol=0.01, atol=0.02)
    assert torch.allclose(of_narrow.float(), of_wide, rtol=0.02, atol=0.02)
    assert all(
        torch.allclose(*pair, rtol=0.02, atol=0.1) for pair in zip(of_its_weights, of_weights, strict=True)
    )


def test_a_depthwise_convolution_of_other_types_is_pytorchs_own():
    layer = normalised(groups=6, conv_cfg=SAME).double()
    features = torch.randn(1, 6, 5, 5, dtype=torch.float64)
    theirs = learnt(layer, features.clone())
    folding.replace(torch.nn.Sequential(layer))
    for ours, other in zip(learnt(layer, features.clone()), theirs, strict=True):
        torch.testing.assert_close(ours, other)
    weight, walk = torch.ones(6, 1, 3, 3), depthwise.Walk(1, (1, 1, 1, 1), 6)
    with pytest.raises(TypeError, match="float64"):
        depthwise.Depthwise.apply(features, weight, torch.ones(6), walk, (0.0, 6.0))


@pytest.mark.parametrize(
    "settings",
    [{"dilation": 2, "padding": 2}, {"padding": 3}, {"channels": 12}],
    ids=["dilated", "more zeros than the filter is wide", "two filters a channel"],
)
def test_other_convolutions_by_channel_are_folded_as_they_are(settings):
    layer = normalised(groups=6, **settings)
    features = torch.randn(1, 6, 9, 8)
    theirs = learnt(layer, features.clone())
    folding.replace(torch.nn.Sequential(layer))
    for ours, other in zip(learnt(layer, features.clone()), theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-3)


def test_maps_of_32_bits_stay_so_where_others_are_of_16():
    layer = normalised(groups=6, conv_cfg=SAME)
    folding.replace(torch.nn.Sequential(layer))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(1, 6, 5, 5)).dtype == torch.float32


def test_what_is_no_number_stays_none_in_a_depthwise_convolution():
    layer = normalised(groups=6, conv_cfg=SAME)
    folding.replace(torch.nn.Sequential(layer))
    features = torch.zeros(1, 6, 5, 5)
    features[0, 2, 2, 2] = torch.nan
    assert layer(features)[0].isnan().sum(dim=(1, 2)).tolist() == [0, 0, 9, 0, 0, 0]


def test_a_folded_convolution_can_be_asked_for_values_that_are_not_normalised():
    layer = normalised(groups=6)
    features = torch.randn(1, 6, 8, 8)
    theirs = layer(features, norm=False)
    folding.replace(torch.nn.Sequential(layer))
    torch.testing.assert_close(layer(features, norm=False), theirs)


def test_slopes_of_16_bits_are_rounded_and_not_cut_off():
    numbers = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-9, -1 - 5 * 2**-9], dtype=torch.float32)
    bits = np.empty(4, np.uint16)
    depthwise._narrow(numbers.numpy().view(np.uint32), np.uint32(16), bits)
    assert torch.equal(torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16), numbers.bfloat16())


def test_where_statistics_move_on_normalisation_stays_mmcvs():
    layer = normalised(groups=6)
    folding.replace(torch.nn.Sequential(layer))
    before = layer.norm.running_mean.clone()
    layer.train()(torch.randn(2, 6, 8, 8))
    assert not torch.equal(layer.norm.running_mean, before)


@pytest.mark.parametrize(
    "settings",
    [
        {"norm_cfg": {"type": "GN", "num_groups": 2}},
        {"norm_cfg": None},
        {"padding_mode": "reflect"},
        {"stride": (1, 2)},
        {"with_spectral_norm": True},
        {"norm_cfg": {"type": "BN", "affine": False}},
        {"norm_cfg": {"type": "BN", "track_running_stats": False}},
    ],
)
def test_other_convolutions_are_left_alone(settings):
    given = {"norm_cfg": {"type": "BN"}} | settings
    layer = ConvModule(6, 6, 3, **given)
    folding.replace(torch.nn.Sequential(layer))
    assert type(layer) is ConvModule


# -------------------------------------------------------------------------------------------------- proposing


@pytest.mark.parametrize("limit", [7, 5000])
@pytest.mark.parametrize(
    ("model", "ours"), [("tiny", proposing.CpuRPNHead), ("small", proposing.CpuDenseProposalHead)]
)
def test_the_cpus_proposals_equal_mmdetections(model, ours, limit):
    path = ROOT / f"configs/models/cascade_mask_rcnn_{model}.py"
    config = configuration.fit(configuration.read(path), ["cell"]).model
    head = MODELS.build(
        {**config.rpn_head, "train_cfg": config.train_cfg.rpn, "test_cfg": config.test_cfg.rpn}
    )
    cfg = config.test_cfg.rpn | {"max_per_img": limit}
    random = torch.Generator().manual_seed(0)
    number = head.num_base_priors
    sizes = [(64 // 2**k, 96 // 2**k) for k in range(5)]
    anchors = [number * h * w for h, w in sizes]
    values = torch.linspace(-5, 5, sum(anchors))[torch.randperm(sum(anchors), generator=random)]  # all differ
    maps = [[each.view(1, number, h, w) for each, (h, w) in zip(values.split(anchors), sizes, strict=True)]]
    maps += [[torch.randn(1, 4 * number, h, w, generator=random) / 4 for h, w in sizes]]
    if ours is proposing.CpuDenseProposalHead:  # which has another factor of the score, from the centre
        maps += [[torch.randn(1, number, h, w, generator=random) for h, w in sizes]]
    metas = [{"img_shape": (128, 192)}]
    (theirs,) = head.predict_by_feat(*maps, batch_img_metas=metas, cfg=cfg)
    proposing.replace(SimpleNamespace(rpn_head=head))
    (found,) = head.predict_by_feat(*maps, batch_img_metas=metas, cfg=cfg)
    assert type(head) is ours
    assert 7 <= len(theirs) <= limit
    assert set(found.keys()) == set(theirs.keys())
    assert all(torch.equal(found[name], theirs[name]) for name in theirs.keys())  # noqa: SIM118  no mapping


# --------------------------------------------------------------------------------------- one door, one switch

OURS = {CpuExtractor, proposing.CpuRPNHead, upsampling.TiledDeconvolution, upsampling.TiledMaskHead}


def kinds(model: torch.nn.Module) -> set[type]:
    """The types of a detector's parts."""
    return {type(part) for part in model.modules()}


def tiny() -> torch.nn.Module:
    return MODELS.build(configuration.fit(configuration.read(TINY), ["cell"]).model)


def predictor(config: dict) -> Predictor:
    fitted = {"model": "tiny", "fold": 0, "config": config, "state_dict": tiny().state_dict()}
    return Predictor(fitted, CPU, torch.float32, Kept(10, 0.5))


def test_a_detector_on_a_cpu_has_every_kernel():
    model = tiny()
    precision.place(model, CPU)
    assert kinds(model) >= OURS


def test_kernels_can_be_put_in_one_by_one():
    model = tiny()
    cpu.accelerate(model, ["roi_align"])
    assert kinds(model) & OURS == {CpuExtractor}


@pytest.mark.parametrize("kernels", [True, False])
def test_a_line_of_the_model_file_leaves_them_out(tmp_path, kernels):
    path = tmp_path / "model.py"
    path.write_text(f"_base_ = {str(TINY)!r}\ncpu_kernels = {kernels}\n")
    config = configuration.fit(configuration.read(path), ["cell"]).to_dict()
    look = predictor(config)
    assert bool(kinds(look.model) & OURS) == kernels


def test_a_detector_written_before_there_was_the_switch_has_the_kernels():
    config = configuration.fit(configuration.read(TINY), ["cell"]).to_dict()
    del config["cpu_kernels"]
    look = predictor(config)
    assert kinds(look.model) >= OURS


def test_another_mmdetection_is_refused_where_its_private_methods_are_replaced(monkeypatch):
    model = tiny()
    monkeypatch.setattr(openmmlab.mmdet, "__version__", "4.0.0")
    with pytest.raises(DataError, match=r"private methods of MMDetection .*, and 4\.0\.0 is installed"):
        cpu.accelerate(model)
    precision.place(model, CPU, kernels=False)
    with pytest.raises(DataError, match="CellBBoxHead replaces a private method"):
        heads.CellBBoxHead()
    with pytest.raises(DataError, match="a ResNet's stem"):
        MODELS.build({"type": "FineResNet", "depth": 18})


def test_the_version_that_is_asked_for_is_the_pinned_one():
    pins = (ROOT / "envs/pins.txt").read_text().splitlines()
    assert [pin.partition("==")[2] for pin in pins if "mmdet" in pin] == [openmmlab.VERSION]
