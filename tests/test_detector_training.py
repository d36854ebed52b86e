"""A detector learns discs: the same twice, on after a crash, from pseudo-labels, in several processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from discs import MICRO, Culture, learn, same_weights

from neuroseg import tables
from neuroseg.detector import checkpoints, configuration, hooks, joining, progress, save, train
from neuroseg.errors import DataError
from neuroseg.folds import selection

ROOT = Path(__file__).parents[1]

# --------------------------------------------------------------------------------------------------- training


def test_a_training_tells_its_classes_and_its_losses(trained):
    assert trained.detector["classes"] == ["astro", "cort"]
    scalars = trained.scalars
    assert list(scalars) == [
        *("model", "fold", "classes", "precision", "iterations", "iteration", "loss", "lr", "losses")
    ]
    assert scalars["precision"] == trained.detector["precision"] == "fp32"
    assert (scalars["model"], scalars["fold"], scalars["iterations"]) == ("micro", 0, 6)
    assert scalars["iteration"] == [1, 2, 3, 4, 5, 6]
    total = sum(np.array(losses) for losses in scalars["losses"].values())
    assert np.allclose(scalars["loss"], total, rtol=1e-3)


def test_cells_of_unknown_type_are_cells(culture, micro, tmp_path):
    nameless = Culture.__new__(Culture)
    nameless.__dict__ |= culture.__dict__ | {"instances": culture.instances.assign(cell_type=None)}
    assert learn(nameless, micro, tmp_path, iterations=1).detector["classes"] == ["cell"]


def test_the_same_seed_gives_the_same_detector(culture, micro, trained, tmp_path, checkpoint):
    again = learn(culture, micro, tmp_path / "work")
    assert same_weights(again, trained)
    save(again, tmp_path / "model.pth", tmp_path / "config.py", tmp_path / "scalars.json")
    for name in ("model.pth", "config.py", "scalars.json"):
        assert (tmp_path / name).read_bytes() == (checkpoint.parent / name).read_bytes()


def test_another_seed_gives_another_detector(culture, micro, trained, tmp_path):
    assert not same_weights(learn(culture, micro, tmp_path, seed=1), trained)


def test_however_short_a_training_is_it_reaches_its_learning_rate(culture, micro, tmp_path):
    rates = learn(culture, micro, tmp_path, iterations=12).scalars["lr"]
    assert max(rates) > 0.9 * configuration.read(micro).optim_wrapper.optimizer.lr


def test_a_model_files_seed_is_added_to_that_of_the_run(culture, micro, tmp_path):
    repeated = tmp_path / "repeated.py"
    repeated.write_text(f"_base_ = {str(micro)!r}\nseed = 2\n")
    own = learn(culture, repeated, tmp_path / "own", seed=1, iterations=2)
    assert same_weights(own, learn(culture, micro, tmp_path / "run", seed=3, iterations=2))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"iterations": 0}, "at least 1 iteration, not 0"),
        ({"iterations": -5}, "at least 1 iteration, not -5"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**31}, "seed must be a whole number"),
    ],
)
def test_a_length_or_a_seed_that_cannot_be_is_refused(culture, micro, tmp_path, change, complaint):
    with pytest.raises(DataError, match=complaint):
        learn(culture, micro, tmp_path, **change)


def test_bf16_learns_the_same_up_to_rounding(culture, micro, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    narrow = learn(culture, micro, tmp_path, precision="bf16")
    assert not same_weights(narrow, trained)
    assert narrow.scalars["precision"] == narrow.detector["precision"] == "bf16"
    assert np.allclose(narrow.scalars["loss"], trained.scalars["loss"], rtol=0.05)
    assert all(each.dtype != torch.bfloat16 for each in narrow.detector["state_dict"].values())


def test_a_training_begins_with_another_datasets_weights(culture, micro, checkpoint, tmp_path, capsys):
    one_type = Culture.__new__(Culture)
    one_type.__dict__ |= culture.__dict__ | {"instances": culture.instances.assign(cell_type="shsy5y")}
    learn(one_type, micro, tmp_path, init_from=checkpoint, iterations=1)
    said = capsys.readouterr().err
    assert f"weights from {checkpoint}" in said
    anew = said.partition("initialised anew: ")[2].splitlines()[0].split(", ")
    assert anew
    assert all(name.endswith(("fc_cls", "conv_logits")) for name in anew)


def test_a_training_learns_from_a_further_data_set_at_the_same_time(
    culture, micro, tmp_path, capsys, monkeypatch
):
    other = Culture(tmp_path, count=3, cells=12, size=(96, 128))
    folder = tmp_path / "more" / "validate"
    folder.mkdir(parents=True)
    for name, table in (("images", other.images), ("instances", other.instances)):
        columns = [column for column, *_ in tables.COLUMNS[name]]
        tables.write(name, table.reindex(columns=columns), folder / f"{name}.parquet")
    trained = learn(culture, micro, tmp_path / "work", further={folder: 0.5}, iterations=2)
    said = capsys.readouterr().err
    assert "50% of the samples from more, 3 images, as they are where a pixel size is unknown" in said
    assert "5 images, 60 cells of astro, cort, on 1 cpu in fp32" in said
    assert trained.detector["cells"]["per_megapixel"][1] == pytest.approx(12e6 / (96 * 128))
    alone = learn(culture, micro, tmp_path / "alone", iterations=2)
    assert not same_weights(trained, alone)
    changes = {"share": ({folder: 0.4}, 1.0), "scale": ({folder: 0.5}, 2.0)}
    for change, (further, factor) in changes.items():
        shutil.copytree(tmp_path / "work", tmp_path / change)
        monkeypatch.setattr(joining.scaling, "factors", lambda table, _, by=factor: np.full(len(table), by))
        capsys.readouterr()
        learn(culture, micro, tmp_path / change, further=further, iterations=2)
        assert "starting afresh" in capsys.readouterr().err


def test_later_weights_go_over_earlier_ones(capsys):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    first = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(3)}
    second = {"0.weight": torch.zeros(3, 2), **dict.fromkeys(("head.weight", "head.bias"), torch.ones(9))}
    sources = [("first.pth", first), ("second.pth", second)]
    hooks.WarmStart("mine", sources).before_train(SimpleNamespace(model=model))
    assert torch.equal(model[0].weight, torch.zeros(3, 2))
    assert torch.equal(model[0].bias, torch.ones(3))
    assert capsys.readouterr().err.splitlines() == [
        "note: second.pth is of another architecture than mine: 1 of its 3 weights fit, so that little of "
        "what it has learnt is taken over",
        "began with 1 of 4 weights from second.pth",
        "began with 1 of 4 weights from first.pth",
        "initialised anew: 1",
    ]


@pytest.mark.parametrize(
    ("load_from", "init_from", "expected"),
    [
        (None, None, []),
        ("coco.pth", None, ["coco.pth"]),
        ("coco.pth", Path("model.pth"), ["model.pth"]),
        ("efficientnet_lite0", Path("model.pth"), ["efficientnet_lite0", "model.pth"]),
    ],
)
def test_packaged_weights_are_begun_with_where_a_detector_lacks_some(
    monkeypatch, load_from, init_from, expected
):
    monkeypatch.setattr(hooks, "read_weights", lambda name: {"from": name})
    started = hooks.warm_start("mine", hooks.beginnings(load_from, init_from))
    assert [name for each in started for name, _ in each.sources] == expected


def test_weights_of_no_use_are_refused(culture, micro, tmp_path):
    torch.save({"state_dict": {"alien": torch.zeros(3)}}, tmp_path / "alien.pth")
    with pytest.raises(DataError, match="none of its weights fits"):
        learn(culture, micro, tmp_path / "work", init_from=tmp_path / "alien.pth", iterations=1)


def test_a_loss_that_is_no_number_ends_the_training(culture, micro, tmp_path):
    wild = tmp_path / "wild.py"
    wild.write_text(f'_base_ = "{micro}"\noptim_wrapper = dict(optimizer=dict(lr=1e30), clip_grad=None)\n')
    with pytest.raises(DataError, match=r"loss is (nan|inf)"):
        learn(culture, wild, tmp_path / "work")


def test_time_left_is_told_as_people_say_it():
    assert [progress.clock(seconds) for seconds in (12, 185, 7801)] == ["12 s", "3 min 05 s", "2 h 10 min"]


# ---------------------------------------------------------------------------------------------- pseudo-labels


def partly_annotated(culture: Culture) -> pd.DataFrame:
    """The images; the last two lack annotation: the third is of the first's well, the fourth a test image."""
    return culture.images.assign(
        annotated=[True, True, False, False],
        subset=["train", "train", "train", "test"],
        group=["w", "v", "w", "t"],
    )


@pytest.mark.parametrize(
    ("fold", "kinds", "expected"),
    [
        (1, ["unlabelled"], ["image2"]),
        (1, ["test"], ["image3"]),
        ("all", ["unlabelled", "test"], ["image2", "image3"]),
        (0, ["unlabelled", "test"], ["image3"]),  # image2 is of the well of image0, which fold 0 holds out
    ],
)
def test_images_to_pseudo_label_are_not_annotated_and_of_no_group_that_is_held_out(
    culture, fold, kinds, expected
):
    folds = culture.folds.assign(fold=[0, 1, -1, -1])
    assert (
        selection.unannotated(partly_annotated(culture), folds, fold, kinds)["image_id"].tolist() == expected
    )


def test_images_that_there_are_not_cannot_be_pseudo_labelled(culture):
    with pytest.raises(DataError, match="there is no image of unlabelled"):
        selection.unannotated(culture.images, culture.folds, 0, ["unlabelled"])
    with pytest.raises(DataError, match="blurred: there are no such images; choose among unlabelled, test"):
        selection.unannotated(culture.images, culture.folds, 0, ["blurred"])


def taught(culture: Culture, micro: Path, work_dir: Path, fold: int, labelled: list[str], **changes):
    """Train on the first two images' truth and on the pseudo-labels of others, which here are their truth."""
    truth = culture.instances[culture.instances["image_id"].isin(["image0", "image1"])]
    labels = culture.instances[culture.instances["image_id"].isin(labelled)].assign(**changes)
    folds = culture.folds.assign(fold=[0, 1, -1, -1])
    settings = {"fold": fold, "seed": 0, "work_dir": work_dir, "load": np.load, "iterations": 2}
    return train(micro, partly_annotated(culture), truth, folds, **settings, pseudo=labels)


def test_a_student_learns_from_pseudo_labels_and_says_so(culture, micro, tmp_path, capfd):
    more = taught(culture, micro, tmp_path / "more", 1, ["image2", "image3"], cell_type="astro")
    log = capfd.readouterr().err
    assert "fold 1: 3 images, 36 cells of astro" in log
    assert "of these, 2 images and 24 cells are pseudo-labelled" in log
    assert not same_weights(more, taught(culture, micro, tmp_path / "less", 1, ["image2"]))


def test_without_pseudo_labels_a_student_learns_what_its_teacher_did(culture, micro, tmp_path):
    plain = learn(culture, micro, tmp_path / "plain", iterations=2)
    nothing = learn(culture, micro, tmp_path / "nothing", iterations=2, pseudo=culture.instances.iloc[:0])
    assert same_weights(plain, nothing)


@pytest.mark.parametrize("labelled", ["image0", "image1", "image2"])
def test_pseudo_labels_of_annotated_images_and_of_held_out_groups_are_refused(
    culture, micro, tmp_path, labelled
):
    with pytest.raises(DataError, match=f"fold 0: image {labelled} is pseudo-labelled, but"):
        taught(culture, micro, tmp_path, 0, [labelled])


def test_pseudo_labels_of_a_type_that_is_nowhere_true_are_refused(culture, micro, tmp_path):
    with pytest.raises(DataError, match="pseudo-labels hold cells of neuron, the true instances only of"):
        taught(culture, micro, tmp_path, 1, ["image2"], cell_type="neuron")


def test_another_rounds_pseudo_labels_are_another_training(culture, micro, tmp_path):
    config = configuration.fit(configuration.read(micro), ["astro", "cort"]).to_dict()
    both, one = culture.instances, culture.instances.iloc[1:]
    assert checkpoints.fingerprint(config, culture.images, both) != checkpoints.fingerprint(
        config, culture.images, one
    )


# ------------------------------------------------------------------------------------------ several processes

TOGETHER = """
import json, pathlib, sys
import numpy as np, pandas as pd
from neuroseg.detector import train
tables, micro, out = map(pathlib.Path, sys.argv[1:])
images, instances, folds = (pd.read_pickle(tables / name) for name in ("images", "instances", "folds"))
trained = train(micro, images, instances, folds, fold=0, seed=0, work_dir=out, load=np.load, iterations=8)
if trained is not None:
    print(json.dumps(trained.scalars["loss"]))
"""


@pytest.mark.slow
def test_two_processes_learn_as_one_with_their_batches_together(culture, tmp_path):
    for name in ("images", "instances", "folds"):
        getattr(culture, name).to_pickle(tmp_path / name)
    (tmp_path / "together.py").write_text(TOGETHER)
    models = {batch: tmp_path / f"micro_of_{batch}.py" for batch in (2, 4)}
    for batch, model in models.items():
        # Normalised by fixed figures, as gloo cannot normalise over processes.
        fixed = f"model['backbone']['norm_eval'] = True\ntrain_dataloader = dict(batch_size={batch})\n"
        model.write_text(MICRO + fixed)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, tmp_path / "together.py", tmp_path, models[2], tmp_path / "work"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training micro") == 1
    alone = learn(culture, models[4], tmp_path / "alone", iterations=8)
    assert np.allclose(alone.scalars["loss"], json.loads(done.stdout), rtol=0.03)
