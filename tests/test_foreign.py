"""A detector file may come from anybody: nothing in it is run, and what is damaged or dangerous is named."""

import copy
import io
import os
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroseg.detector import archive, checkpoints, configuration, foreign, predict
from neuroseg.detector.openmmlab import MODELS
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def content() -> dict:
    """A detector of random weights."""
    config = configuration.fit(
        configuration.read(ROOT / "configs/models/cascade_mask_rcnn_tiny.py"), ["astro", "cort"]
    )
    weights = MODELS.build(config.model).state_dict()
    settled = foreign.without_sources(config.to_dict())
    return {
        "model": "tiny",
        "classes": ["astro", "cort"],
        "fold": 0,
        "config": settled,
        "state_dict": weights,
    }


def written(content: dict, path: Path, changes: dict | None = None) -> Path:
    """Write a detector whose configuration says otherwise under keys such as model.backbone.type."""
    config = copy.deepcopy(content["config"])
    for keys, value in (changes or {}).items():
        *outer, last = (int(key) if key.isdigit() else key for key in keys.split("."))
        part = config
        for key in outer:
            part = part[key]
        part[last] = value
    checkpoints.write_detector(path, content | {"config": config})
    return path


def use(path: Path) -> pd.DataFrame:
    np.save(path.parent / "image.npy", np.full((64, 64), 128, np.uint8))
    images = pd.DataFrame(
        {"image_id": ["i"], "path": [str(path.parent / "image.npy")], "height": 64, "width": 64}
    )
    return predict(path, images, load=np.load, source="s")[0]


def test_a_sound_detector_is_used(content, tmp_path):
    assert set(use(written(content, tmp_path / "model.pth"))["cell_type"]) <= {"astro", "cort"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.type", "os.system"),
        ("model.backbone", {"type": "os.system", "command": "touch {}"}),
        ("model.backbone.type", "builtins.exec"),
        ("model.backbone.type", "mmdet.evaluation.CocoMetric"),
        ("model.backbone.type", "mmpretrain.ConvNeXt"),
        ("model.backbone.type", "torch.load"),
        ("model.backbone.type", "BertModel"),
        ("model.backbone.type", 3),
        ("model.type", "KnowledgeDistillationSingleStageDetector"),
        ("model.backbone.init_cfg", {"type": "Pretrained", "checkpoint": "http://127.0.0.1:9/x.pth"}),
        ("model.backbone.pretrained", "x"),
        ("model.backbone.style", "torchvision://resnet50"),
        ("model.neck.norm_cfg", {"type": "os.getcwd"}),
        ("model.test_cfg.rcnn.nms", {"type": "__import__('os').system('touch {}')"}),
        ("model.test_cfg.rpn.nms", {"type": "exit"}),
        ("model.rpn_head.anchor_generator.type", "Runner"),
        ("model.data_preprocessor.pad_size_divisor", 100_000),
        ("model.data_preprocessor.pad_size_divisor", "wide"),
        ("model.roi_head.mask_head.num_convs", 10**7),
        ("model.rpn_head.feat_channels", float("inf")),
        ("model.custom_imports", {"imports": ["antigravity"]}),
        ("test_pipeline.0", {"type": "LoadImageFromFile", "backend_args": {"backend": "http"}}),
        ("test_pipeline.0", {"type": "subprocess.Popen", "args": "touch {}"}),
        ("test_pipeline.0", {"type": "Pad", "size": (100_000, 100_000)}),
        ("test_pipeline.0", {"type": "Resize", "scale": (100_000, 100_000)}),
        ("test_pipeline.0", {"type": "Resize", "scale_factor": 9.0}),
        ("test_pipeline.0", {"type": "Resize", "scale_factor": (1.0, 9.0)}),
        ("test_pipeline.0", [{"type": "Resize", "scale_factor": 3.0}] * 2),
        ("custom_hooks.0", {"type": "os.system", "command": "touch {}"}),
        ("optim_wrapper.type", "shutil.rmtree"),
        ("train_pipeline.0.type", "os.remove"),
        ("custom_imports", {"imports": ["this"]}),
    ],
)
def test_a_detector_that_names_a_foreign_part_is_refused_by_key(content, tmp_path, key, value):
    proof = tmp_path / "ran"
    if isinstance(value, dict):
        value = {name: text.format(proof) if isinstance(text, str) else text for name, text in value.items()}
    path = written(content, tmp_path / "model.pth", {key: value})
    with pytest.raises(DataError, match=rf"model\.pth: {key}\S*: .*do not use it") as refused:
        use(path)
    assert len(refused.value.sentences) == 1
    assert not proof.exists()


@pytest.mark.parametrize("scope", ["os", "antigravity", "mmpretrain"])
def test_a_detector_that_switches_to_a_foreign_scope_is_refused(content, tmp_path, scope):
    config = copy.deepcopy(content["config"])
    config["model"]["backbone"]["_scope_"] = scope
    with pytest.raises(DataError, match=rf"model\.pth: model\.backbone\._scope_: '{scope}' is none of"):
        foreign.check_config(config, tmp_path / "model.pth")


def test_a_configuration_that_holds_itself_is_refused(content, tmp_path):
    config = copy.deepcopy(content["config"])
    config["model"]["train_cfg"]["rpn"] = config["model"]
    with pytest.raises(DataError, match=r"larger than any detector's"):
        foreign.check_config(config, tmp_path / "model.pth")
    many = inner = []
    for _ in range(20):
        inner[:] = [[], []]
        inner[1] = inner[0]
        inner = inner[0]
    config["model"]["train_cfg"]["rpn"] = many
    with pytest.raises(DataError, match=r"larger than any detector's"):
        foreign.check_config(config, tmp_path / "model.pth")


def test_a_network_that_would_fill_the_memory_is_not_built(content, tmp_path):
    sizes = dict.fromkeys(("model.neck.out_channels", "model.rpn_head.in_channels"), 99_999)
    path = written(content, tmp_path / "model.pth", sizes)
    with pytest.raises(DataError, match=r"far more memory than its weights take"):
        use(path)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("test_pipeline.0", {"type": "Resize", "scale": (64, 64)}, "no image can be looked at"),
        ("test_pipeline.0", {"type": "CropCells", "size": 32}, "no image can be looked at"),
        ("model.test_cfg.rpn.nms", {"type": "nms", "iou_threshold": "wide"}, "no image can be looked at"),
        ("model.test_cfg.rcnn.nms", {"type": "nms", "iou_threshold": "wide"}, "no image can be looked at"),
        ("model.test_cfg.rcnn.nms", {"type": "soft_nms"}, "no image can be looked at"),
        ("model.test_cfg.rpn.max_per_img", "many", "no image can be looked at"),
        ("model.data_preprocessor.std", [0.0, 25.0, 25.0], "makes no finite numbers of an image"),
    ],
)
def test_settings_with_which_no_image_can_be_looked_at_are_named_by_the_detector(
    content, tmp_path, key, value, complaint
):
    with pytest.raises(DataError, match=rf"the detector tiny of fold 0: .*{complaint}"):
        use(written(content, tmp_path / "model.pth", {key: value}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda w: w | {"backbone.conv1.weight": torch.zeros(2, 2)}, "make no network"),
        (lambda w: {name: weight for name, weight in w.items() if "neck" not in name}, "make no network"),
        (lambda w: w | {"stranger": torch.zeros(1)}, "make no network"),
        (lambda w: w | {"a": torch.tensor([1.0, float("nan")])}, r"state_dict\.a: .*not finite"),
        (
            lambda w: w | {"a": torch.zeros(1).expand(10**12)},
            r"state_dict\.a: .*more numbers than the file holds",
        ),
        (lambda w: w | {"a": torch.zeros(1, dtype=torch.complex64)}, r"state_dict\.a: .*no plain tensor"),
        (lambda w: w | {"a": "text"}, r"state_dict\.a: .*no tensor"),
        (lambda w: [1], "state_dict is missing or of another kind"),
    ],
)
def test_weights_that_do_not_fit_or_are_unsound_are_refused(content, tmp_path, change, complaint):
    checkpoints.write_detector(
        tmp_path / "model.pth", content | {"state_dict": change(content["state_dict"])}
    )
    with pytest.raises(DataError, match=complaint):
        use(tmp_path / "model.pth")


@pytest.mark.parametrize("classes", [[], ["a", "a"], [1], ["a\nb"], [""], ["x" * 101], "astro"])
def test_cell_types_that_are_no_names_are_refused(content, tmp_path, classes):
    checkpoints.write_detector(tmp_path / "model.pth", content | {"classes": classes})
    with pytest.raises(DataError, match=r"model\.pth: classes"):
        checkpoints.classes(tmp_path / "model.pth")


@pytest.mark.parametrize(
    "cells",
    [
        7,
        {},
        {"width_px": [1.0, 2.0, 3.0]},
        {"width_px": [3.0, 2.0, 1.0], "per_megapixel": [1.0, 2.0, 3.0], "of_structure": [0.1, 0.2, 0.3]},
        {"width_px": [1.0, 2.0], "per_megapixel": [1.0, 2.0, 3.0], "of_structure": [0.1, 0.2, 0.3]},
        {
            "width_px": [1.0, 2.0, float("nan")],
            "per_megapixel": [1.0, 2.0, 3.0],
            "of_structure": [0.1, 0.2, 0.3],
        },
        {"width_px": [1.0, 2.0, 1e300], "per_megapixel": [1.0, 2.0, 3.0], "of_structure": [0.1, 0.2, 0.3]},
        {"width_px": "abc", "per_megapixel": [1.0, 2.0, True], "of_structure": [0.1, 0.2, 0.3]},
    ],
)
def test_figures_of_cells_that_cannot_be_are_refused(content, tmp_path, cells):
    checkpoints.write_detector(tmp_path / "model.pth", content | {"cells": cells})
    with pytest.raises(DataError, match=r"model\.pth: cells: .* must be three numbers each"):
        use(tmp_path / "model.pth")


class Runs:
    """Something that a pickle would run when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("call", "named"),
    [((os.system, "touch {}"), r"posix\.system|nt\.system"), ((bytearray, 10**9), r"__builtin__\.bytearray")],
)
@pytest.mark.parametrize("key", ["state_dict", "config", "classes"])
def test_a_pickle_that_runs_code_is_refused_without_advice_to_trust_it(content, tmp_path, call, named, key):
    proof = tmp_path / "ran"
    function, *arguments = [part.format(proof) if isinstance(part, str) else part for part in call]
    torch.save(
        {"format": checkpoints.FORMAT, **content, key: Runs(function, *arguments)}, tmp_path / "model.pth"
    )
    with pytest.raises(DataError, match=named) as refused:
        use(tmp_path / "model.pth")
    assert "weights_only" not in str(refused.value)
    assert not proof.exists()


def test_a_foreign_checkpoint_that_runs_code_is_no_beginning_either(tmp_path):
    proof = tmp_path / "ran"
    torch.save({"state_dict": {}, "meta": Runs(os.system, f"touch {proof}")}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"unsafe \(it names \w+\.system\)") as refused:
        checkpoints.read_weights(str(tmp_path / "other.pth"))
    assert "weights_only" not in str(refused.value)
    assert not proof.exists()


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize(
    "read", [checkpoints.read_weights, lambda name: checkpoints.read_detector(Path(name))]
)
def test_a_pickle_of_something_else_is_called_no_file_of_weights_and_not_damaged(tmp_path, read, protocol):
    proof, path = tmp_path / "ran", tmp_path / "other.pth"
    for content in (Runs(os.system, f"touch {proof}"), {"epoch": 3}):
        path.write_bytes(pickle.dumps(content, protocol))
        with pytest.raises(
            DataError, match=r"other\.pth: this is no file of weights as torch\.save writes them;"
        ):
            read(str(path))
    assert not proof.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_another_programs_checkpoint_is_a_beginning(tmp_path, zipped):
    state = {"state_dict": {"w": torch.arange(3.0)}, "meta": {"epoch": 3}}
    torch.save(state, tmp_path / "other.pth", _use_new_zipfile_serialization=zipped)
    assert torch.equal(checkpoints.read_weights(str(tmp_path / "other.pth"))["w"], torch.arange(3.0))


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(content, tmp_path):
    whole = written(content, tmp_path / "whole.pth")
    with (
        zipfile.ZipFile(whole) as old,
        zipfile.ZipFile(tmp_path / "model.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.writestr("archive/data/bomb", bytes(50_000_000))
    with pytest.raises(
        DataError, match=r"model\.pth: the checkpoint unpacks to more than its own size; do not use it\.$"
    ):
        checkpoints.read_detector(tmp_path / "model.pth")


def test_what_train_could_not_read_back_it_does_not_learn(tmp_path):
    model = tmp_path / "mine.py"
    model.write_text(
        f"_base_ = '{ROOT}/configs/models/cascade_mask_rcnn_tiny.py'\nmodel = "
        "dict(backbone=dict(pretrained='x'))"
    )
    config = configuration.read(model).to_dict()
    with pytest.raises(DataError, match=r"mine\.py: model\.backbone\.pretrained"):
        foreign.check_config(config, model)
    assert "pretrained" not in foreign.without_sources(config)["model"]["backbone"]


@dataclass(repr=False)  # a failure that hypothesis tells shows its arguments
class Small:
    """A detector file of few weights, as bytes, and what it holds."""

    path: Path
    data: bytes
    whole: dict


@pytest.fixture(scope="module")
def small(content, tmp_path_factory) -> Small:
    path = tmp_path_factory.mktemp("flips") / "model.pth"
    few = dict(list(content["state_dict"].items())[:4])
    checkpoints.write_detector(path, content | {"state_dict": few})
    return Small(path, path.read_bytes(), checkpoints.read_detector(path))


def same(one: dict, other: dict) -> bool:
    weights, others = one["state_dict"], other["state_dict"]
    rest = {key: value for key, value in one.items() if key != "state_dict"}
    alike = weights.keys() == others.keys() and all(
        torch.equal(weights[name], others[name]) for name in weights
    )
    return alike and rest == {key: value for key, value in other.items() if key != "state_dict"}


def refused_or_same(small: Small, bit: int) -> bool:
    flipped = bytearray(small.data)
    flipped[bit // 8] ^= 1 << bit % 8
    small.path.write_bytes(flipped)
    try:
        return same(checkpoints.read_detector(small.path), small.whole)
    except DataError as error:
        return len(error.sentences) == 1


@given(place=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(small, place):
    assert refused_or_same(small, int(place * len(small.data) * 8))


@given(place=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_in_the_archives_directory_is_refused_or_changes_nothing(small, place):
    (start,) = struct.unpack("<I", small.data[-6:-2])
    assert refused_or_same(small, start * 8 + int(place * (len(small.data) - start) * 8))


def test_weights_marked_as_a_folder_are_refused(small):
    """PyTorch would take them for empty, and leave memory as it is where they belong."""
    data, marked = small.data, 0
    (at,) = struct.unpack("<I", data[-6:-2])
    while data[at : at + 4] == b"PK\1\2":
        name, extra, comment = struct.unpack("<HHH", data[at + 28 : at + 34])
        assert refused_or_same(small, (at + 38) * 8 + 4), data[at + 46 : at + 46 + name]
        at, marked = at + 46 + name + extra + comment, marked + 1
    assert marked > 4


def test_an_entry_that_says_it_is_compressed_and_is_not_is_refused(small):
    (start,) = struct.unpack("<I", small.data[-6:-2])
    assert refused_or_same(small, (start + 10) * 8 + 3)  # the first entry's compression method: from 0 to 8


def test_the_checks_of_a_large_file_take_less_than_a_third_of_a_second(content, tmp_path):
    weights = {f"w{i}": torch.rand(1_000_000) for i in range(15)}  # 60 MB
    buffer = io.BytesIO()
    torch.save({"format": checkpoints.FORMAT, **content, "state_dict": weights}, buffer)
    (tmp_path / "model.pth").write_bytes(buffer.getvalue())
    taken = []
    for _ in range(3):
        before = os.times()
        archive.check_archive(tmp_path / "model.pth")
        archive.check_weights(weights, tmp_path / "model.pth")
        after = os.times()
        taken.append(sum(after[:2]) - sum(before[:2]))
    assert min(taken) < 0.3
