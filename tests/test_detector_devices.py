"""Where a detector computes: which device is taken and said, and what a GPU's work must not wait for."""

import os
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from neuroseg.detector import checkpoints, configuration, hooks, masks, precision, running
from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import MODELS, BitmapMasks, Config, FCNMaskHead, InstanceData
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]
GPU = torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch):
    """A machine whose PyTorch finds a GPU; gives a function to say what MMCV's operators were built for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return lambda version: monkeypatch.setattr(precision, "get_compiling_cuda_version", lambda: version)


def test_the_tests_see_no_gpu():
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert torch.cuda.device_count() == 0


def test_a_gpu_is_taken_where_the_operators_were_compiled_for_it(gpu):
    gpu("13.0")
    assert precision.choose_device(number=1) == torch.device("cuda:1")
    assert precision.choose_device("cuda") == torch.device("cuda")


def test_a_gpu_without_operators_for_it_is_left_and_that_is_said(gpu, capsys):
    gpu("not available")
    assert precision.choose_device() == torch.device("cpu")
    assert "computing on the CPU, though there is a GPU: MMCV's operators here are" in capsys.readouterr().err
    with pytest.raises(DataError, match="device cuda:0: MMCV's operators here are compiled for the CPU only"):
        precision.choose_device("cuda:0")


def test_a_machine_without_a_gpu_needs_no_words(capsys):
    assert precision.choose_device() == torch.device("cpu")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_bfloat16_is_chosen_where_the_card_has_it_not_where_it_is_emulated(monkeypatch, native, expected):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native
    )
    assert precision.choose_dtype("auto", GPU) == expected


@pytest.mark.parametrize(("able", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_on_a_cpu_that_would_emulate_it_is_single_precision(monkeypatch, capsys, able, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": able})
    assert precision.choose_dtype("bf16", torch.device("cpu")) == expected
    assert ("no instructions for bf16" in capsys.readouterr().err) is not able
    assert precision.choose_dtype("auto", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(
    ("dtype", "device", "expected"),
    [
        (torch.float32, "cpu", {"type": "OptimWrapper"}),
        (torch.float32, "cuda", {"type": "OptimWrapper"}),
        (torch.bfloat16, "cpu", {"type": "CpuOptimWrapper", "dtype": torch.bfloat16}),
        (torch.bfloat16, "cuda", {"type": "AmpOptimWrapper", "dtype": "bfloat16"}),
    ],
)
def test_a_training_computes_in_the_number_format_that_is_asked_for(dtype, device, expected):
    assert precision.optimiser({"type": "OptimWrapper"}, dtype, torch.device(device)) == expected


@pytest.fixture
def process():
    """Puts back what belongs to the whole process."""
    threads, fill = torch.get_num_threads(), torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.set_num_threads(threads)
    torch.utils.deterministic.fill_uninitialized_memory = fill


def test_choosing_a_device_leaves_the_process_as_it_is(monkeypatch, process):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(precision.ctypes, "CDLL", lambda _: pytest.fail("the allocator was changed"))
    torch.set_num_threads(3)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert precision.choose_device("cpu") == precision.choose_device("auto") == torch.device("cpu")
    assert torch.get_num_threads() == 3
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_preparing_the_process_for_a_cpu_does_what_it_says(monkeypatch, process, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "2,4")
    torch.set_num_threads(3)
    precision.prepare_cpu()
    assert torch.get_num_threads() == 2
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert capsys.readouterr().err == "on a CPU: 2 threads (OMP_NUM_THREADS), freed memory is kept\n"


def test_a_process_that_computes_on_a_gpu_is_not_prepared_for_a_cpu(gpu, process, capsys):
    gpu("13.0")
    torch.set_num_threads(3)
    precision.prepare_cpu()
    precision.prepare_cpu("cuda:1")
    assert torch.get_num_threads() == 3
    assert capsys.readouterr().err == ""


def config_of(name: str) -> Config:
    return configuration.fit(configuration.read(ROOT / "configs/models" / f"{name}.py"), ["astro", "cort"])


def test_kernels_of_a_gpu_are_not_timed_anew_for_every_size(monkeypatch, tmp_path):
    asked = {}

    def runner(**settings):
        asked.update(settings)
        return Mock(model=None)

    monkeypatch.setattr(running, "Runner", runner)
    monkeypatch.setattr(running, "place", lambda *_, **__: None)
    config = config_of("cascade_mask_rcnn_r50")
    config.train_dataloader.num_workers = 0
    running.build(config, [0], [], GPU, 0, tmp_path, torch.bfloat16)
    assert asked["optim_wrapper"]["type"] == "AmpOptimWrapper"
    assert asked["env_cfg"] == {"cudnn_benchmark": False}


@pytest.mark.parametrize("name", ["cascade_mask_rcnn_r50", "cascade_mask_rcnn_x101"])
def test_the_overlaps_of_a_dense_crop_do_not_fill_a_gpus_memory(name):
    assert config_of(name).model.train_cfg.rpn.assigner.gpu_assign_thr == 300


def test_of_processes_that_clear_up_after_a_kill_none_fails(monkeypatch, tmp_path):
    (tmp_path / ".iteration_00000002.pth.1.part").touch()
    unlink = Path.unlink

    def raced(path: Path, **settings) -> None:
        unlink(path)  # another process was faster
        unlink(path, **settings)

    monkeypatch.setattr(Path, "unlink", raced)
    assert checkpoints.newest_state(tmp_path, "any") is None
    assert not list(tmp_path.iterdir())


def test_the_losses_of_a_step_are_read_together(monkeypatch):
    journal = hooks.Journal()
    runner = SimpleNamespace(
        iter=0, max_iters=4, optim_wrapper=SimpleNamespace(get_lr=lambda: {"lr": [0.1]}), model=None
    )
    journal.before_train(runner)
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: pytest.fail("a loss was read by itself"))
    outputs = {"loss": torch.tensor(0.75), "loss_cls": torch.tensor([0.5]), "acc": torch.tensor(3.0)}
    journal.after_train_iter(runner, 0, outputs=outputs | {"loss_mask": torch.tensor(0.25)})
    assert {name: journal.curve[name] for name in ("loss", "loss_cls", "loss_mask")} == {
        "loss": [0.75],
        "loss_cls": [0.5],
        "loss_mask": [0.25],
    }


# ----------------------------------------------------------------------------------------------- mask targets


@pytest.fixture
def taught():
    """What two images teach a mask head: proposals, their cells, and masks, ours and as frames."""
    random = torch.Generator().manual_seed(0)
    y, x = np.mgrid[:96, :128] + 0.5
    images = []
    for centres in ([(20, 30), (50, 80), (90, 40)], [(64, 64)]):
        frames = np.stack([(y - cy) ** 2 + (x - cx) ** 2 <= 12**2 for cy, cx in centres])
        boxes = np.array([[cx - 12, cy - 12, cx + 12, min(cy + 12, 96)] for cy, cx in centres])
        windows = [frame[a:b, c:d] for frame, (c, a, d, b) in zip(frames, boxes, strict=True)]
        chosen = torch.tensor([0, 0, 0, len(centres) - 1])
        around = torch.from_numpy(boxes)[chosen].float() + torch.randn(4, 4, generator=random) * 3
        images.append(
            (
                SimpleNamespace(pos_priors=around, pos_assigned_gt_inds=chosen),
                CellMasks(windows, boxes[:, :2], 96, 128),
                BitmapMasks(frames.astype(np.uint8), 96, 128),
            )
        )
    return images


SETTINGS = Config({"mask_size": 28})


def head() -> torch.nn.Module:
    return MODELS.build({"type": "CellMaskHead", "num_convs": 1, "in_channels": 4, "conv_out_channels": 4})


def test_mask_targets_are_mmdetections(taught):
    sampled = [each for each, *_ in taught]
    ours = head().get_targets(sampled, [InstanceData(masks=cells) for _, cells, _ in taught], SETTINGS)
    framed = [InstanceData(masks=frames) for *_, frames in taught]
    theirs = FCNMaskHead.get_targets(head(), sampled, framed, SETTINGS)
    assert ours.dtype == theirs.dtype
    assert (ours != theirs).float().mean() < 1e-3  # a sample of exactly one half, rounded either way
    assert torch.equal(head().get_targets(sampled, framed, SETTINGS), theirs)


def test_a_cells_mask_is_taken_to_the_device_once_for_all_proposals_and_stages(taught, monkeypatch):
    given = []
    sample = masks.roi_align
    monkeypatch.setattr(
        masks, "roi_align", lambda maps, *rest: given.append(len(maps)) or sample(maps, *rest)
    )
    sampled = [each for each, *_ in taught]
    truth = [InstanceData(masks=cells) for _, cells, _ in taught]
    framed = []
    frames = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda array: framed.append(array.dtype) or frames(array))
    for _ in range(3):
        head().get_targets(sampled, truth, SETTINGS)
    assert given == [2, 1] * 3  # two of the first image's three cells have proposals
    assert framed.count(np.uint8) == 2


def test_mask_targets_make_no_way_by_the_cpu(taught, monkeypatch):
    for way in ("cpu", "numpy", "tolist"):
        monkeypatch.setattr(
            torch.Tensor, way, lambda *_, **__: pytest.fail("a tensor was taken from its device")
        )
    truth = [InstanceData(masks=cells) for _, cells, _ in taught]
    assert head().get_targets([each for each, *_ in taught], truth, SETTINGS).shape == (8, 28, 28)


def test_an_image_without_proposals_has_no_mask_targets(taught):
    nothing = SimpleNamespace(
        pos_priors=torch.zeros(0, 4), pos_assigned_gt_inds=torch.zeros(0, dtype=torch.int64)
    )
    empty = InstanceData(masks=CellMasks([], np.zeros((0, 2)), 96, 128))
    assert head().get_targets([nothing], [empty], SETTINGS).shape == (0, 28, 28)
