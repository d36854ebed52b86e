"""A detector's heads, model files and checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from discs import MICRO, learn

from neuroseg.detector import building, checkpoints, configuration, hooks, predict, save, training
from neuroseg.detector.openmmlab import MODELS, Compose, Config, InstanceData
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]

MODEL_FILES = sorted((ROOT / "configs/models").glob("[!_]*.py"))


# ------------------------------------------------------------------------------------------------------ heads


def box_head(kind: str, classes: int) -> torch.nn.Module:
    coder = {"type": "DeltaXYWHBBoxCoder"}
    shape = {"in_channels": 4, "fc_out_channels": 8, "num_classes": classes, "reg_class_agnostic": True}
    return MODELS.build({"type": kind, "bbox_coder": coder, **shape})


def found_by(head: torch.nn.Module, places: list, probabilities: list) -> InstanceData:
    """What a head makes of proposals that it leaves in place, from probabilities of its types and of none."""
    rois, logits = torch.tensor([[0.0, *place] for place in places]), torch.tensor(probabilities).log()
    limits = Config({"score_thr": 0.05, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 10})
    meta = {"img_shape": (100, 100)}
    return head._predict_by_feat_single(rois, logits, torch.zeros(len(places), 4), meta, rcnn_test_cfg=limits)


def test_a_cell_of_doubtful_type_is_one_box_with_the_score_of_both():
    places = [[10.0, 10, 30, 30], [11, 10, 31, 30], [50, 50, 70, 80]]
    probabilities = [[0.45, 0.4, 0.15], [0.1, 0.5, 0.4], [0.01, 0.02, 0.97]]
    found = found_by(box_head("CellBBoxHead", 2), places, probabilities)
    assert found.scores.tolist() == pytest.approx([0.85])
    assert found.labels.tolist() == [0]
    assert found.bboxes.tolist() == [places[0]]
    stock = found_by(box_head("Shared2FCBBoxHead", 2), places, probabilities)
    assert sorted(stock.scores.tolist()) == pytest.approx([0.45, 0.5])


def test_of_a_single_type_boxes_are_scored_as_by_the_head_it_extends():
    generator = np.random.default_rng(0)
    corners, sizes = generator.uniform(0, 60, (40, 2)), generator.uniform(5, 40, (40, 2))
    cell = generator.uniform(0, 1, 40)
    places, probabilities = (
        np.hstack([corners, corners + sizes]).tolist(),
        np.column_stack([cell, 1 - cell]).tolist(),
    )
    ours, stock = (
        found_by(box_head(kind, 1), places, probabilities) for kind in ("CellBBoxHead", "Shared2FCBBoxHead")
    )
    assert len(ours.scores) > 5
    torch.testing.assert_close(ours.scores, stock.scores)
    torch.testing.assert_close(ours.bboxes, stock.bboxes)


SMALL = MICRO.replace("cascade_mask_rcnn_tiny", "cascade_mask_rcnn_small").replace("Shared2FC", "Cell")


def test_dense_proposals_learn_the_same_twice_and_are_found_again(culture, tmp_path):
    model = tmp_path / "small.py"
    model.write_text(SMALL)
    first, second = (learn(culture, model, tmp_path / name) for name in ("first", "second"))
    assert {"rpn_loss_cls", "rpn_loss_bbox", "rpn_loss_centerness"} <= set(first.scalars["losses"])
    for name, weight in first.detector["state_dict"].items():
        assert torch.equal(weight, second.detector["state_dict"][name]), name
    assert first.detector["config"]["model"]["rpn_head"].get("num_classes", 1) == 1
    save(first, tmp_path / "model.pth", tmp_path / "config.py", tmp_path / "scalars.json")
    found, *_ = predict(tmp_path / "model.pth", culture.images, load=np.load, source="m", min_score=0.0)
    assert set(found["image_id"]) == set(culture.images["image_id"])


SWIN = """
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(norm=dict(decay_mult=0.0))))
model["backbone"] = dict(
    _delete_=True, type="FineSwin", embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=7
)
model["roi_head"]["type"] = "CellRoIHead"
"""


def test_a_small_swin_with_dense_proposals_learns_and_finds(culture, tmp_path):
    model = tmp_path / "swin.py"
    model.write_text(SMALL + SWIN)
    learnt = learn(culture, model, tmp_path / "work")
    assert learnt.detector["config"]["model"]["backbone"]["type"] == "FineSwin"
    assert np.isfinite(learnt.scalars["loss"]).all()
    save(learnt, tmp_path / "model.pth", tmp_path / "config.py", tmp_path / "scalars.json")
    found, *_ = predict(tmp_path / "model.pth", culture.images, load=np.load, source="m", min_score=0.0)
    assert set(found["image_id"]) == set(culture.images["image_id"])


# ------------------------------------------------------------------------------------------------ model files


def built_on(base: Path, line: str, folder: Path) -> Path:
    """A model file that changes another by a line."""
    path = folder / "own.py"
    path.write_text(f"_base_ = {str(base)!r}\n{line}\n")
    return path


def refusal(use: Callable, *arguments: object) -> str:
    """The one sentence by which something is refused."""
    with pytest.raises(DataError) as refused:
        use(*arguments)
    (sentence,) = refused.value.sentences
    return sentence


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_file_has_room_for_every_cell_of_a_dense_image(path):
    config = configuration.fit(configuration.read(path), ["a", "b", "c"])
    limits = config.model.test_cfg
    assert min(limits.rpn.nms_pre, limits.rpn.max_per_img, limits.rcnn.max_per_img) >= 1000
    # MMDetection's EfficientNet and Swin read numbers while they are built, which stand on no meta device.
    reads = config.model.backbone.type in ("LiteEfficientNet", "FineSwin")
    with torch.device("cpu" if reads else "meta"):
        model = MODELS.build(config.model)
    assert {head.num_classes for head in (*model.roi_head.bbox_head, *model.roi_head.mask_head)} == {3}
    Compose(config.train_pipeline), Compose(config.test_pipeline)


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_file_holds_no_place(path):
    text = configuration.read(path).pretty_text
    assert "data/" not in text
    assert str(ROOT) not in text


def test_the_schedule_is_stretched_to_the_training(micro):
    config = configuration.fit(configuration.read(micro), ["cell"], iterations=500)
    assert config.train_cfg.max_iters == 500
    assert config.param_scheduler[0].end == config.param_scheduler[1].begin == 25
    assert config.param_scheduler[-1].end == 500
    assert [s.type for s in configuration.fit(config, ["cell"], 3).param_scheduler] == ["CosineAnnealingLR"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model = dict(", "no MMDetection config"),
        ("raise SystemExit(0)", "no MMDetection config"),
        ("raise ValueError('one\\n  line')", r"\(ValueError: one line\); mend it"),
        ("model = dict()", "lacks 'train_pipeline'"),
    ],
)
def test_a_broken_model_file_is_named(tmp_path, text, complaint):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint):
        configuration.read(path)


def test_a_missing_model_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.py: there is no such model file"):
        configuration.read(tmp_path / "none.py")


# ------------------------------------------------------------------------------------------------ checkpoints


def test_a_checkpoint_is_read_weights_only(checkpoint, trained):
    content = torch.load(checkpoint, weights_only=True)
    assert content["classes"] == ["astro", "cort"]
    assert content["fold"] == 0
    assert str(ROOT) not in json.dumps(content["config"])
    assert content["config"] == trained.detector["config"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "damaged"), (b"no weights", "no file of weights"), (None, "there is no such checkpoint")],
)
def test_a_checkpoint_of_no_use_is_named(tmp_path, content, complaint):
    path = tmp_path / "model.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        checkpoints.read_detector(path)


def test_any_other_pth_is_no_detector(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="this is no neuroseg detector"):
        checkpoints.read_detector(tmp_path / "other.pth")
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(DataError, match="this is no checkpoint"):
        checkpoints.read_detector(tmp_path / "list.pth")


def test_weights_that_cannot_be_fetched_are_named():
    with pytest.raises(DataError, match="cannot be fetched"):
        checkpoints.read_weights("http://127.0.0.1:9/weights.pth")


ITERATIONS = "must name iterations: by_epoch=False, and end, the one that it ends at"
WARM = "type='LinearLR', by_epoch=False, "


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("seed = True", "seed: must be a whole number, such as 3"),
        ("seed = -1", "seed: must be greater than or equal to 0"),
        ("seed = 2**31", "seed: must be less than 2147483648"),
        ("param_scheduler = []", "param_scheduler: List should have at least 1 item"),
        ("param_scheduler = None", "param_scheduler: must be a list"),
        ("param_scheduler = [3]", "param_scheduler.0: must be keys with values"),
        ("param_scheduler = [dict(type='ConstantLR', by_epoch=False)]", f"param_scheduler.0: {ITERATIONS}"),
        ("param_scheduler = [dict(type='ConstantLR', end=9)]", f"param_scheduler.0: {ITERATIONS}"),
        (f"param_scheduler = [dict({WARM} end=12, convert_to_iter_based=True)]",
         f"param_scheduler.0: {ITERATIONS}"),
        (f"param_scheduler = [dict({WARM} end=9), dict(type='StepLR', end=9, by_epoch=False)]",
         "param_scheduler.1: step_size is missing"),
        ("optim_wrapper = dict(_delete_=True)", "optim_wrapper.optimizer: is missing"),
        ("optim_wrapper = dict(optimizer=None)", "optim_wrapper.optimizer: must be keys with values"),
        ("optim_wrapper = dict(optimizer=dict(type='Adamw'))",
         "optim_wrapper.optimizer.type: there is no optimiser Adamw; take one of torch.optim, such as AdamW"),
        ("custom_hooks = [None]", "custom_hooks.0: must be keys with values"),
        ("train_pipeline = []", "train_pipeline: List should have at least 1 item"),
        (f"param_scheduler = [dict({WARM} end=1000.0)]", "param_scheduler.0.end: must be a whole number"),
        (f"param_scheduler = [dict({WARM} end=0)]", "param_scheduler.0.end: must be greater than or e"),
        (f"param_scheduler = [dict({WARM} begin=9, end=9)]", "param_scheduler.0: begin must be below end, 9"),
        (f"param_scheduler = [dict({WARM} begin=None, end=9)]", "param_scheduler.0.begin: must be a whole"),
        (f"param_scheduler = [dict({WARM} end=9, milestones=3)]", "param_scheduler.0.milestones: must be a"),
        ("param_scheduler = [dict(type='ExponentialLR', by_epoch=False, end=9)]",
         "param_scheduler.0.type: must be 'LinearLR', "),
        ("train_cfg = None", "train_cfg: must be keys with values"),
        ("train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=3)",
         "train_cfg.type: must be 'IterBasedTrainLoop'"),
        ("train_cfg = dict(max_iters='1000')", "train_cfg.max_iters: must be a whole number"),
        ("train_cfg = dict(max_iters=0)", "train_cfg.max_iters: must be greater than or equal to 1"),
        ("default_hooks = None", "default_hooks: must be keys with values"),
        ("default_hooks = dict(checkpoint=dict(interval=0))", "default_hooks.checkpoint.interval: must be "),
        ("train_dataloader = dict(batch_size=0)", "train_dataloader.batch_size: must be greater than or eq"),
        ("train_dataloader = dict(type_balance=2)", "train_dataloader.type_balance: must be less than or eq"),
        ("optim_wrapper = dict(paramwise_cfg=[1])", "optim_wrapper.paramwise_cfg: must be keys with values"),
        ("optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(neck=2)))",
         "optim_wrapper.paramwise_cfg.custom_keys.neck: must be keys with values"),
        ("cpu_kernels = 'off'", "cpu_kernels: must be true or false"),
    ],
)  # fmt: skip
def test_what_a_model_file_gets_wrong_is_said_by_its_key(micro, tmp_path, line, complaint):
    wrong = built_on(micro, line, tmp_path)
    with pytest.raises(DataError) as refused:
        configuration.read(wrong)
    assert str(refused.value).startswith(f"{wrong}: {complaint}")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("custom_hooks = [dict(type='EMAHok')]", "EMAHok is not in the"),
        ("optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1, moment=2))", "moment"),
        (f"param_scheduler = [dict({WARM} end=9, start_facter=1)]", "start_facter"),
        ("train_pipeline = [dict(type='RandomFlipp')]", "RandomFlipp is not in the"),
        ("model = dict(backbone=dict(depht=3))", "depht"),
        (
            "train_pipeline = [dict(type='CropCells', size=0)]",
            "CropCells: size: must be",
        ),
        ("train_pipeline = [dict(type='MosaicCells', size=96, share=5)]", "MosaicCells: share: must be less"),
        ("train_pipeline = [dict(type='Microscope', contrast=-5)]", "Microscope: contrast: must be greater"),
        (
            "train_pipeline = [dict(type='CropCells', size=96), dict(type='CopyCells', cells='8')]",
            "cells: must",
        ),
        ("train_pipeline = [dict(type='CropCells', size=96)]", "KeyError"),
        ("custom_hooks = [dict(type='EMAHook', momentumm=0.1)]", "'momentumm' in EMAHook)"),
        ("optim_wrapper = dict(clip_grad=dict(_delete_=True, max_nrm=35))", "max_nrm"),
    ],
)
def test_a_part_that_mmdetection_does_not_know_is_said_in_one_sentence(culture, micro, tmp_path, line, part):
    wrong = built_on(micro, line, tmp_path)
    sentence = refusal(learn, culture, wrong, tmp_path / "work")
    assert sentence.startswith(f"{wrong}: MMDetection cannot train what it describes (")
    assert part in sentence


def test_of_what_goes_wrong_in_a_process_that_feeds_a_gpu_the_last_line_is_told():
    handed_on = (
        "Caught TypeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
    )
    error = TypeError(f"{handed_on}  File 'a.py', line 3\nTypeError: no such thing\n")
    assert building.reason(error) == "TypeError: no such thing"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("train_dataloader = dict(batch_sise=2)", "train_dataloader.batch_sise: nothing reads it; "),
        ("train_cfg = dict(max_iter=2)", "train_cfg.max_iter: nothing reads it; the nearest is max"),
        ("default_hooks = dict(early=dict(type='EarlyStoppingHook'))", "default_hooks.early: nothing reads"),
        ("default_hooks = dict(checkpoint=dict(intervall=2))", "default_hooks.checkpoint.interva"),
        ("optim_wrapper = dict(paramwise_cfg=dict(custom_key=3))", "optim_wrapper.paramwise_cfg.custom_k"),
        ("optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mul=3))))",
         "optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mul: nothing reads it; the nearest is lr_mult"),
        ("model = dict(test_cfg=dict(rcnn=dict(score_th=0.1)))", "model.test_cfg.rcnn.score_th: noth"),
        ("model = dict(test_cfg=dict(rpn=dict(nms=dict(iou_treshold=0.1))))", "model.test_cfg.rpn.nms.iou"),
        ("model = dict(train_cfg=dict(rpn_proposal=dict(nms_prre=9)))", "model.train_cfg.rpn_proposal.nms_p"),
        ("modell = dict()", "modell: nothing reads it; write model, or give a variable of your own "),
        ("optim_wraper = dict()", "optim_wraper: nothing reads it; write optim_wrapper"),
        ("load_from = 5", "load_from: must be text; put it in quotes."),
    ],
)  # fmt: skip
def test_a_key_of_a_model_file_that_nothing_reads_is_refused(micro, tmp_path, line, complaint):
    wrong = built_on(micro, line, tmp_path)
    assert refusal(configuration.read, wrong).startswith(f"{wrong}: {complaint}")


@pytest.mark.parametrize(
    "line",
    [
        "tta_pipeline = []",
        "half = 3",
        "train_dataloader = dict(persistent_workers=False)",
        "train_cfg = dict(val_interval=3)",
        "default_hooks = dict(logger=dict(interval=3), checkpoint=dict(max_keep_ckpts=2))",
        "model = dict(train_cfg=dict(rpn=dict(ga_sampler=dict())), test_cfg=dict(rcnn=dict(scale_factor=2)))",
        "optim_wrapper = dict(constructor='LearningRateDecay', paramwise_cfg=dict(num_layers=3))",
    ],
)
def test_what_mmdetections_own_files_set_is_no_mistake(micro, tmp_path, line):
    own = built_on(micro, line, tmp_path)
    configuration.read(own)


@pytest.mark.parametrize(
    "base", ["faster_rcnn/faster-rcnn_r50_fpn_1x_coco", "swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco"]
)
def test_a_file_of_mmdetections_own_lacks_sections_and_has_no_strange_key(base, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        f"_base_ = 'mmdet::{base}.py'\ntrain_dataloader = dict(type_balance=0.5)\n"
        "train_cfg = dict(_delete_=True, max_iters=9)\ndefault_hooks = dict(checkpoint=dict(interval=9))\n"
        "param_scheduler = [dict(type='ConstantLR', end=9, by_epoch=False)]\n"
        "custom_hooks, load_from, seed, cpu_kernels = [], None, 0, True\n"
    )
    assert configuration.read(own).train_cfg.max_iters == 9


def test_a_layer_that_a_network_lacks_is_refused_where_its_name_is_misspelt_and_else_told(
    culture, micro, tmp_path, capsys
):
    keys = "optim_wrapper = dict(paramwise_cfg=dict(custom_keys={{{!r}: dict(lr_mult=0.1)}}))"
    own = built_on(micro, keys.format("bakbone.layer1"), tmp_path)
    with pytest.raises(
        DataError, match=r"custom_keys\.bakbone\.layer1: no weight has this in its name; write back"
    ):
        learn(culture, own, tmp_path / "work")
    own = built_on(micro, keys.format("absolute_pos_embed"), tmp_path)
    assert learn(culture, own, tmp_path / "work").scalars["iterations"] == 6
    assert "custom_keys.absolute_pos_embed: no weight has this in its name" in capsys.readouterr().err


PREDICT = "predict could look at no image with it ("


@pytest.mark.parametrize(
    ("line", "complaint", "part"),
    [
        ("model = dict(test_cfg=dict(rcnn=dict(nms=dict(iou_threshold='half'))))", PREDICT, "half"),
        ("model = dict(test_cfg=dict(rcnn=dict(nms=dict(radius=3))))", PREDICT, "radius"),
        (
            "test_pipeline = [dict(type='PackCells', channels=4)]",
            PREDICT,
            "AssertionError in ImgDataPreprocessor: ",
        ),
        ("test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackCells')]", "", "take another"),
        (
            "model = dict(neck=dict(in_channels=[8, 16, 32]))",
            PREDICT,
            "AssertionError in FPN: assert len(inputs)",
        ),
        ("model = dict(neck=dict(in_channels=[8, 16, 32, 63]))", PREDICT, "RuntimeError in Conv2d: "),
    ],
)
def test_what_would_fail_in_predict_is_said_before_anything_is_learnt(
    culture, micro, tmp_path, line, complaint, part
):
    wrong = built_on(micro, line, tmp_path)
    sentence = refusal(learn, culture, wrong, tmp_path / "work")
    assert sentence.startswith(f"{wrong}: {complaint}")
    assert part in sentence
    assert "train it again" not in sentence


def test_what_goes_wrong_after_the_first_step_is_not_laid_to_the_model_file(
    culture, micro, tmp_path, monkeypatch
):
    def fail(hook, runner, **_):
        if runner.iter == 3:
            raise RuntimeError("a cable came loose")

    monkeypatch.setattr(hooks.Reseed, "after_train_iter", fail)
    with pytest.raises(RuntimeError, match="a cable came loose"):
        learn(culture, micro, tmp_path / "work")


@pytest.mark.parametrize(
    ("scheduler", "times"),
    [
        ("type='StepLR', end=100, step_size=30", {"end": 20, "milestones": [6, 12, 18]}),
        (
            "type='StepLR', end=100, step_size=1",
            {"milestones": [max(1, round(k / 5)) for k in range(1, 100)]},
        ),
        ("type='MultiStepLR', end=100, milestones=[50, 90, 1]", {"end": 20, "milestones": [10, 18, 1]}),
        ("type='CosineRestartLR', end=100, periods=[25, 75]", {"end": 20, "periods": [5, 15]}),
        ("type='CosineRestartLR', end=1000, periods=[130] * 7", {"periods": [3, 2, 3, 2, 3, 3, 2]}),
        ("type='CosineAnnealingLR', begin=5, end=100, T_max=95", {"begin": 1, "end": 20, "T_max": 19}),
    ],
)
def test_every_time_of_a_scheduler_is_stretched_to_the_length_of_the_training(
    micro, tmp_path, scheduler, times
):
    own = built_on(micro, f"param_scheduler = [dict({scheduler}, by_epoch=False)]", tmp_path)
    (stretched,) = configuration.fit(configuration.read(own), ["cell"], 20).param_scheduler
    assert {key: stretched[key] for key in times} == times


def test_what_is_tried_before_a_training_changes_nothing_of_it(culture, micro, tmp_path, monkeypatch):
    tried = learn(culture, micro, tmp_path / "tried")
    monkeypatch.setattr(training, "rehearse", lambda *_: None)
    untried = learn(culture, micro, tmp_path / "untried")
    for name, weight in tried.detector["state_dict"].items():
        assert torch.equal(weight, untried.detector["state_dict"][name]), name
