"""What is wrong with a configuration is said in sentences, before anything else."""

import itertools
import sys
import typing
from pathlib import Path

import pytest
import yaml
from chain import snakemake

from neuroseg import fusion, segmentation, tuning
from neuroseg.fusion import recipe

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from workflow import configs, ensemble_files, mistakes, refusals  # noqa: E402

STARTER, LITE0 = "cascade_mask_rcnn_starter", "cascade_mask_rcnn_lite0"
CONFIGS = [*ROOT.glob("configs/*.yaml"), *ROOT.glob("studies/*/run.yaml"), ROOT / "tests" / "quick.yaml"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with two annotated data sets, images of no truth, and an ensemble of two models."""
    for name in ("configs/datasets", "configs/ensembles"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("etik1", "etik2"):
        (tmp_path / f"configs/datasets/{name}.yaml").write_text("{format: labels, root: .}")
    (tmp_path / "configs/datasets/plate.yaml").write_text("{format: folder, root: ., detectors: starter}")
    (tmp_path / "configs/datasets/plate2.yaml").write_text("{format: folder, root: ., detectors: etik2}")
    (tmp_path / "configs/ensembles/two.yaml").write_text(f"members: {{{STARTER}: 1, {LITE0}: 1}}")
    monkeypatch.chdir(tmp_path)
    configs.read.cache_clear()
    yield tmp_path
    configs.choose_study(None)


def said(train: dict, dataset: str = "etik2", **more: object) -> str:
    """All that is said of a configuration with this section `train`; nothing if it is sound."""
    config = {"dataset": dataset, "ensembles": ["two"], "train": train, **more}
    mistakes.complete(config)
    try:
        mistakes.stop_at_mistakes(config)
    except SystemExit as stopped:
        return str(stopped)
    return ""


def fit(*models: str) -> None:
    """Leave both folds' fitted detectors of data set etik2."""
    for model, fold in itertools.product(models, (0, 1)):
        path = Path(f"results/etik2/train/{model}/fold_{fold}/model.pth")
        path.parent.mkdir(parents=True)
        path.touch()


UNTRAINED = "this run trains no such data set or model"
PUT = "put the checkpoint there, or correct its path."
ABSENT = "there is no such data set or model"


@pytest.mark.parametrize(
    ("train", "key", "end"),
    [
        ({"iterations": {f"etik2/{STARTER[:-2]}rt": 3}}, None, f"did you mean etik2/{STARTER}?"),
        ({"iterations": {"etik22": 3}}, None, "did you mean etik2?"),
        ({"iterations": {"etik1": 3}}, None, "did you mean etik2?"),
        (
            {"iterations": {"demo": 3, "etik2": 3}},
            "demo",
            "there are: etik2.",
        ),
        ({"iterations": {"etik2": 3, f"etik1/{LITE0}": 3}}, f"etik1/{LITE0}", f"did you mean etik2/{LITE0}?"),
    ],
)
def test_a_key_of_iterations_that_is_of_no_training_is_named_with_the_nearest(folder, train, key, end):
    key = key or next(iter(train["iterations"]))
    assert said(train) == f"error: train.iterations.{key}: {UNTRAINED}; {end}"


def test_a_key_may_name_a_model_that_fewer_ensembles_do_not_train(folder):
    assert said({"iterations": {"etik2/cascade_mask_rcnn_r50": 3}}) == ""


def test_a_key_of_init_from_that_is_of_no_training_is_named_with_the_nearest(folder):
    Path("x.pth").touch()
    expected = f"error: train.init_from.etik22: {UNTRAINED}; did you mean etik2?"
    assert said({"init_from": {"etik22": "x.pth"}}) == expected


def test_every_wrong_key_has_its_sentence(folder):
    train = {"iterations": {f"etik2/{STARTER}r": 3}, "init_from": {"etik22": "x.pth"}}
    assert said(train).splitlines() == [
        f"error: train.iterations.etik2/{STARTER}r: {UNTRAINED}; did you mean etik2/{STARTER}?",
        f"error: train.init_from.etik22: {UNTRAINED}; did you mean etik2?",
    ]


@pytest.mark.parametrize("key", ["etik2", f"etik2/{LITE0}"])
def test_a_checkpoint_that_is_not_there_is_named_with_its_key_even_after_training(folder, key):
    trained = Path(f"results/etik2/train/{LITE0}/fold_0/model.pth")
    trained.parent.mkdir(parents=True)
    trained.touch()
    assert said({"init_from": {key: "x.pth"}}) == (
        f"error: train.init_from.{key}: there is no file x.pth; {PUT}"
    )
    Path("x.pth").touch()
    assert said({"init_from": {key: "x.pth"}}) == ""


def test_a_checkpoint_is_looked_for_under_each_models_name(folder):
    Path(f"{STARTER}.pth").touch()
    train = {"init_from": {"etik2": "{model}.pth"}}
    assert said(train) == (f"error: train.init_from.etik2: there is no file {LITE0}.pth; {PUT}")
    Path(f"{LITE0}.pth").touch()
    assert said(train) == ""


def test_a_source_that_is_no_data_set_is_named_with_the_nearest(folder):
    assert said({"init_from": {"etik2": "etik3"}}).startswith(
        "error: train.init_from.etik2: there is no data set etik3; did you mean etik"
    )
    assert said({"init_from": {"etik2": "etik1", "etik1": "demu"}}) == (
        "error: train.init_from.etik1: there is no data set demu; did you mean demo?"
    )


def test_a_checkpoint_that_the_run_trains_itself_need_not_be_there(folder):
    made = f"results/etik1/train/{STARTER}/fold_0/model.pth"
    train = {"init_from": {f"etik2/{LITE0}": made}, "iterations": {f"etik1/{STARTER}": 3, "etik1": 2}}
    assert said(train) == ""
    train["init_from"] = {"etik2": made.replace("etik1", "demu")}
    train["iterations"] = 3
    assert said(train).endswith("there is no data set demu; did you mean demo?")
    train["init_from"] = {"etik2": made.replace("starter", "startr")}
    assert f"configs/models/{STARTER[:-2]}r.py does not exist; there are: " in said(train)


def test_pretrainings_in_a_circle_are_followed_once(folder):
    assert said({"init_from": {"etik2": "etik1", "etik1": "etik2"}, "iterations": {"etik1": 3}}) == ""


@pytest.mark.parametrize(
    ("together", "words"),
    [
        ({"etik2": {"etik1": 0.5}}, ""),
        ({f"etik2/{LITE0}": {"etik1": 0.3, "demo": 0.2}}, ""),
        ({"etik2": {"demu": 0.5}}, "etik2: there is no data set demu; did you mean demo?"),
        ({"etik2": {"etik2": 0.5}}, "etik2: etik2 is learnt from anyway; leave it out here."),
        (
            {"etik2": {"etik1": 0.5, "demo": 0.5}},
            "etik2: the shares sum to 1; below 1, the rest is the data set's own.",
        ),
        ({"etik22": {"demo": 0.5}}, f"etik22: {UNTRAINED}; did you mean etik2?"),
        (
            {"etik2": {"demo": float("nan")}},
            "etik2.demo: must be a number, not infinite or .nan.",
        ),
        ({"etik2": {"plate": 0.5}}, "etik2: the images of plate have no annotations to learn from."),
    ],
)
def test_what_is_wrong_with_data_sets_learnt_from_together_is_said(folder, together, words):
    assert said({"together": together}) == (f"error: train.together.{words}" if words else "")


@pytest.mark.parametrize(
    ("train", "place"),
    [({"together": {2024: {"demo": 0.5}}}, "2024"), ({"together": {"etik2": {2024: 0.5}}}, "etik2.2024")],
)
def test_keys_that_yaml_takes_for_numbers_are_to_be_quoted(folder, train, place):
    quote = "YAML takes this key for a number or a yes or no; put it in quotes."
    assert said(train) == f"error: train.together.{place}: {quote}"


@pytest.mark.parametrize("dataset", ["plate", "plate2"])
def test_images_that_anothers_detectors_predict_take_that_ones_configuration(folder, dataset):
    fit(STARTER, LITE0)
    train = {"iterations": {"demo": 3, f"etik1/{LITE0}": 3}, "init_from": {"etik2": "x.pth", "t98g": "demo"}}
    assert said(train, dataset) == ""
    train = {"iterations": {"etik22": 3, f"etik2/{LITE0}r": 3}}
    assert said(train, dataset).splitlines() == [
        f"error: train.iterations.etik22: {ABSENT}; did you mean etik2?",
        f"error: train.iterations.etik2/{LITE0}r: {ABSENT}; did you mean etik2/{LITE0}?",
    ]


def test_detectors_of_another_data_set_that_are_yet_to_be_trained_need_their_checkpoint(folder):
    train = {"init_from": {"etik2": "x.pth"}}
    assert "train.init_from.etik2: there is no file x.pth;" in said(train, "plate2")
    fit(STARTER, LITE0)
    assert said(train, "plate2") == ""
    Path(f"results/etik2/train/{LITE0}/fold_1/model.pth").unlink()
    assert "train.init_from.etik2: there is no file x.pth;" in said(train, "plate2")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("dataset", [None, "plate"])
def test_every_configuration_is_sound_for_its_own_images_and_for_those_it_predicts(folder, path, dataset):
    config = configs.load(path)
    config |= {"dataset": dataset} if dataset else {}
    mistakes.complete(config)
    mistakes.stop_at_mistakes(config)


VIEWS = (
    "is no view; there are none, hflip, vflip, hvflip, magnified by 0.25 to 4 (x1.5), or both (hflip_x1.5)."
)


def test_a_wrong_view_or_name_is_refused_with_those_there_are_and_no_regular_expression(folder):
    assert said({}, predict={"views": ["none", "rot"]}) == f"error: predict.views.1: 'rot' {VIEWS}"
    assert said({"pseudo_label": {"views": ["x5"]}}) == f"error: train.pseudo_label.views.0: 'x5' {VIEWS}"
    refused = [
        said({}, "../etik2"),
        said({}, ensembles=["Two"]),
        said({"pseudo_label": {"students": {"a": "B"}}}),
    ]
    assert [sentence.split(":")[1] for sentence in refused] == [
        " dataset",
        " ensembles.0",
        " train.pseudo_label.students.a",
    ]
    assert all(" is no name: use " in sentence and "^" not in sentence for sentence in refused)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dataset": 2024}, "dataset: must be text, not 2024; in quotes it is text."),
        ({"ensembles": "tiny"}, 'ensembles: must be a list, such as [a, b], not "tiny".'),
        ({"ensembles": None}, "ensembles: must be a list, such as [a, b], not null."),
        ({"seed": "one"}, 'seed: must be a whole number, not "one".'),
        ({"seed": True}, "seed: must be a whole number, not true."),
        ({"seed": 1e3}, "seed: must be a whole number, not 1000.0."),
        ({"seed": -1}, "seed: must be at least 0, not -1."),
        ({"gpus": 2}, "gpus: must be auto or 0 or 1, not 2."),
        ({"study": 3}, "study: must be text or null, not 3."),
        ({"train": 3000}, "train: must be keys with values, not 3000."),
        ({"train": {"full": "si"}}, 'train.full: must be true or false, not "si".'),
        (
            {"split": {"n_folds": "2"}},
            'split.n_folds: must be a whole number, not "2"; in quotes, and in braces of --config, it is text'
            ": write it in a file for --configfile.",
        ),
        ({"split": {"same_field": 0}}, "split.same_field: must be above 0, not 0."),
    ],
)
def test_a_value_of_a_wrong_kind_is_refused_in_words(folder, given, words):
    config = {"dataset": "etik2", **given}
    mistakes.complete(config)
    assert list(mistakes.wrong_keys(config)) == [words]


def test_an_ensembles_mistakes_are_said_before_anything_is_trained(folder):
    path = folder / "configs/ensembles/two.yaml"
    path.write_text(f"members: {{{STARTER}: yes, {LITE0}: 1}}\nfuson: 3\nfusion: {{iou: hoch}}")
    configs.read.cache_clear()
    assert said({}).splitlines() == [
        "error: configs/ensembles/two.yaml: it has no key fuson; did you mean fusion?",
        'error: configs/ensembles/two.yaml: fusion.iou: must be a number, not "hoch".',
        f"error: configs/ensembles/two.yaml: members.{STARTER}: must be a number or a list, "
        "such as [a, b], not true.",
    ]


def of_two(content: str, **more: object) -> list[str]:
    """What is said of an ensemble file, without the file's name before it."""
    Path("configs/ensembles/two.yaml").write_text(content)
    configs.read.cache_clear()
    sentences = said({}, **more).splitlines()
    assert all(sentence.startswith("error: configs/ensembles/two.yaml") for sentence in sentences)
    return [sentence.removeprefix("error: configs/ensembles/two.yaml") for sentence in sentences]


ONLY = "only none, hflip; add it to predict.views of the configuration, or leave it out here."
FIXED = "score: 0.5, mask: 0.5, min_area: 20"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "members: {m: 1}\nfusion:\n  iou: 0.5\n  iou: 0.6",
            ", line 4: fusion.iou stands in line 3 already; keep only one.",
        ),
        ("members: {m: 1, m: 2}", ", line 1: members.m stands in this line already; keep only one."),
        (
            "members: {m: 1}\nfusion: {views: [vflip]}",
            f": fusion.views: the detectors do not predict the view vflip, {ONLY}",
        ),
        (
            "members: {m: 1}\nfusion: {views: [none, x1.5]}",
            f": fusion.views: the detectors do not predict the view x1.5, {ONLY}",
        ),
        ("members: {m: 1}\nfusion: {views: [x9]}", ": fusion.views.0: 'x9' {VIEWS}"),
        (
            'members: {m: "1"}',
            ': members.m: must be a number or a list, such as [a, b], not "1"; '
            "in quotes it is text: take the quotes away.",
        ),
        (
            "members: {m: [1, 2, 3, 4], n: [1, 2, 3, 4], o: [1, 2, 3, 4, 5]}",
            ": members: 80 combinations of weights are too many, at most 64 are tried; list fewer.",
        ),
        (
            "members: {m: 1}\nthresholds: {score: sweep}",
            ": thresholds.score: 'sweep' is no list of scores, such as [0.3, 0.4], nor swept.",
        ),
        ("members: {m: 1}\nthresholds: {score: [-1]}", ": thresholds.score.0: must be at least 0, not -1."),
        (
            "members: {m: 1}\nthresholds: {min_area: {cort: [2.5]}}",
            ": thresholds.min_area.cort.0: must be a whole number, not 2.5.",
        ),
        (
            f"members: {{m: 1}}\nthresholds: {{fixed: {{cort: {{{FIXED}}}}}}}",
            ": thresholds.fixed.cort: rescore is missing.",
        ),
        (
            f"members: {{m: 1}}\nthresholds: {{fixed: {{cort: {{{FIXED}, rescore: true}}}}, mask: [0.5]}}",
            ": thresholds: fixed thresholds leave nothing to choose; remove them, or the lists beside them.",
        ),
        (
            "members: {m: 1}\nthresholds: {min_area: {1: [20]}}",
            ": thresholds.min_area.1: YAML takes this key for a number or a yes or no; put it in quotes.",
        ),
    ],
)
def test_what_an_ensemble_file_has_wrong_is_said_before_anything_is_trained(folder, content, words):
    assert of_two(content) == [words.replace("{VIEWS}", VIEWS)]


def test_an_ensembles_views_are_those_that_the_configuration_predicts(folder):
    content = f"members: {{{STARTER}: 1}}\nfusion: {{views: [vflip, x1.5]}}"
    assert of_two(content, predict={"views": ["x1.5", "vflip", "none"]}) == []
    assert len(of_two(content)) == 2


def test_the_mistakes_of_a_member_ensemble_are_those_of_its_own_file(folder):
    outer = Path("configs/ensembles/outer.yaml")
    outer.write_text("members: {two: 1}\nfusion: {views: [vflip]}")  # no view of a fused detection matters
    assert of_two(f"members: {{{STARTER}: 1}}", ensembles=["outer"]) == []
    assert len(of_two("members: {m: 1}\nfusion: {views: [vflip]}", ensembles=["outer"])) == 1
    assert len(of_two("members: {m: 1}\nfuson: {}", ensembles=["outer"])) == 1
    outer.write_text("members: {two: 1, two: 2}")
    configs.read.cache_clear()
    doubled = "line 1: members.two stands in this line already; keep only one."
    assert said({}, ensembles=["outer", "two"]).splitlines() == [
        f"error: configs/ensembles/outer.yaml, {doubled}",
        "error: configs/ensembles/two.yaml: it has no key fuson; did you mean fusion?",
    ]


def test_ensembles_that_are_members_of_each_other_are_named_as_a_circle(folder):
    Path("configs/ensembles/outer.yaml").write_text("members: {two: 1}")
    circle = "two has the member outer has the member two, which is a circle; leave one out."
    expected = f"error: configs/ensembles/outer.yaml: members: {circle}"
    Path("configs/ensembles/two.yaml").write_text("members: {outer: 1}")
    configs.read.cache_clear()
    assert said({}) == expected


def test_what_is_said_of_ensembles_early_is_what_their_reader_says():
    keys = configs.load(ensemble_files.SCHEMA)["properties"]
    fusion_keys, threshold_keys = (keys[section]["properties"] for section in ("fusion", "thresholds"))
    assert set(keys) == set(fusion.Recipe.model_fields)
    assert set(fusion_keys) == set(fusion.Fusion.model_fields)
    assert set(threshold_keys) == set(tuning.Settings.model_fields)
    for name, field in fusion.Fusion.model_fields.items():
        if "enum" in fusion_keys[name]:
            assert set(fusion_keys[name]["enum"]) == set(typing.get_args(field.annotation))
    chosen = configs.load(ensemble_files.SCHEMA)["$defs"]["chosen"]
    assert set(chosen["properties"]) == set(segmentation.Thresholds.model_fields)
    assert ensemble_files.COMBINATIONS == recipe.COMBINATIONS
    view = configs.load(mistakes.SCHEMA)["$defs"]["view"]
    assert configs.load(ensemble_files.SCHEMA)["$defs"]["view"] == view
    for path in [*ROOT.glob("configs/ensembles/*.yaml"), *ROOT.glob("studies/*/ensembles/*.yaml")]:
        assert list(refusals.refused(configs.load(path), ensemble_files.SCHEMA, "it")) == []


@pytest.fixture
def model(folder):
    """Write a model file of one's own, of a name that the ensemble's member has or another."""

    def write(content: str | bytes, name: str = LITE0) -> str:
        path = Path(f"configs/models/{name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return said({}).removeprefix("error: ")

    return write


A, B = f"configs/models/{LITE0}.py", "configs/models/b.py"
WRITTEN_OUT = '_base_ must be a path in quotes or a list of such, written out, such as "./_base_.py".'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            f'_base_ = "./{LITE0}.py"',
            f"{A} builds on {A}, which is a circle; name another file as _base_ of {A}.",
        ),
        ("model = dict()\nseed = 3 4\n", f"{A}, line 2: this is no Python (invalid syntax"),
        (b"seed = 1\n\x00", f"{A}, line 2: this is no Python (a null byte); mend"),
        (
            "# one\n# Gr\u00f6\u00dfe".encode("latin-1"),
            f"{A}, line 2: its bytes are no text in UTF-8; save the file",
        ),
        ("\n_base_ = 5", f"{A}, line 2: {WRITTEN_OUT}"),
        ('_base_ = ["a.py", 5]', f"{A}, line 1: {WRITTEN_OUT}"),
        ("_base_ = ('./_base_.py',)", f"{A}, line 1: {WRITTEN_OUT}"),
        ('name = "a"\n_base_ = f"./{name}.py"', f"{A}, line 2: {WRITTEN_OUT}"),
        (
            '_base_ = "./nowhere.py"',
            f"{A}: _base_: there is no file configs/models/nowhere.py; correct its path, or write mmdet",
        ),
        ("seed = " + "(" * 250 + ")" * 250, f"{A}, line 1: this is no Python (too many nested parentheses)"),
    ],
)
def test_a_model_file_that_no_training_could_read_is_named_with_its_line(model, content, words):
    sentence = model(content)
    assert sentence.startswith(words)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_circle_of_model_files_is_named_from_file_to_file(model):
    model(f'_base_ = ["./{LITE0}.py"]', "b")
    assert model('_base_ = "b.py"') == (
        f"{A} builds on {B} builds on {A}, which is a circle; name another file as _base_ of {B}."
    )


def test_a_fault_of_a_file_that_is_built_on_is_said_once_for_all_models(model):
    model("seed = )", "b")
    model('_base_ = "b.py"', STARTER)
    assert model('_base_ = "b.py"') == (
        f"{B}, line 1: this is no Python (unmatched ')'); mend or restore the file."
    )


@pytest.mark.parametrize(
    "content", ['_base_ = "mmdet::x.py"', "_base_ = []", "seed = 1", '_base_ = ["b.json"]']
)
def test_a_model_file_may_build_on_nothing_or_on_what_is_not_ours(model, content):
    Path("configs/models").mkdir()
    Path("configs/models/b.json").touch()
    assert model(content) == ""


def test_a_model_file_that_fitted_detectors_no_longer_need_may_be_faulty(model):
    assert model("seed = )") != ""
    fit(STARTER, LITE0)
    assert said({}, "plate2") == ""


@pytest.mark.parametrize("number", [".nan", ".inf"])
def test_what_is_no_number_is_refused(folder, number):
    predict = yaml.safe_load(f"{{min_score: {number}}}")
    place = "predict.min_score: must be a number, not infinite or .nan."
    assert said({}, predict=predict) == f"error: {place}"


def test_a_run_ends_with_the_sentence_and_no_traceback(tmp_path):
    (tmp_path / "wrong.yaml").write_text("train: {init_from: {demo: 'nowhere/{model}.pth'}}")
    done = snakemake("-n", "--cores", "1", "--configfile", str(tmp_path / "wrong.yaml"), check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"error: train.init_from.demo: there is no file nowhere/cascade_mask_rcnn_tiny.pth; {PUT}"
    )
    assert done.stderr.count("error: ") == 1
