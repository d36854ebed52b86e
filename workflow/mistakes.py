"""What is wrong with a configuration, in a sentence each, before anything runs."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from workflow import configs, ensemble_files, plan
from workflow.refusals import nearest, refused, unquoted

SCHEMA = configs.ROOT / "workflow" / "schemas" / "pipeline.schema.yaml"
DEFAULTS = configs.ROOT / "configs" / "pipeline.yaml"


def complete(config: dict) -> None:
    """Give a configuration the keys of the workflow's configs/pipeline.yaml that it does not set itself."""
    given = copy.deepcopy(config)
    config.update(configs.load(DEFAULTS))
    update_config(config, given)


def stop_at_doubled_keys(files: Iterable[str | Path]) -> None:
    """End with a sentence for each key that stands twice in a file of the configuration, if there are any.

    Snakemake's reader keeps the last value of a key and drops the others.

    Args:
        files: those that a run was given; the workflow's configs/pipeline.yaml is always looked at.

    Raises:
        SystemExit: as `stop_at_mistakes`.
    """
    _stop(sentence for file in _each_once([*files, DEFAULTS]) for sentence in configs.doubled_keys(file))


def stop_at_mistakes(config: Mapping) -> None:
    """End with a sentence for each mistake of a configuration, if there are any.

    Raises:
        SystemExit: its message is the sentences, and nothing stands before or after them on the screen.
    """
    _stop(list(wrong_keys(config)) or list(wrong_names(config)))


def _stop(sentences: Iterable[str]) -> None:
    found = [f"error: {sentence}" for sentence in sentences]
    if found:
        raise SystemExit("\n".join(found))


def _each_once(files: Iterable[str | Path]) -> list[str]:
    """Return the paths of files as a person would write them, each file once."""
    return list(dict.fromkeys(configs.near(Path(file).absolute()) for file in files))


def wrong_keys(config: Mapping) -> Iterator[str]:
    """Yield a sentence for each key or value that the schema refuses."""
    place = next(unquoted(config), None)
    if place is not None:
        yield f"{place}: YAML takes this key for a number or a yes or no; put it in quotes."
        return
    yield from refused(dict(config), SCHEMA, "the configuration")


def wrong_names(config: Mapping) -> Iterator[str]:
    """Yield a sentence for the first name that stands for no file, and for each fault of the files."""
    students = config["train"]["pseudo_label"]["students"]
    try:
        configs.choose_study(config["study"])
        ensembles = plan.ensembles(config["dataset"], config["ensembles"])
        wrong = list(ensemble_files.wrong(ensembles, config["predict"]["views"]))
        if wrong:
            yield from wrong
            return
        home = configs.detectors(config["dataset"])
        models = [] if configs.bundled(home) else plan.trained(plan.models(ensembles), students)
        for model in models:
            configs.file("models", model, ".py")
        yield from list(wrong_models(config, home, models)) or wrong_trainings(config, home, models)
    except WorkflowError as error:
        yield str(error)


def wrong_models(config: Mapping, home: str, models: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each model whose file, or one that it builds on, no training could read.

    Args:
        config: the configuration.
        home: the data set whose detectors predict the run's own; the files of those that are fitted are not
            needed.
        models: the models trained on `home`.
    """
    own, said = config["dataset"] == home, dict[str, None]()
    for model in models:
        if own or not _is_fitted(home, model, configs.fold_names(config)):
            try:
                plan.bases(model)
            except WorkflowError as error:
                said[str(error)] = None
    yield from said


def wrong_trainings(config: Mapping, home: str, models: list[str]) -> Iterator[str]:
    """Yield a sentence for each wrong source in train.init_from and train.together, and each wrong key.

    Args:
        config: the configuration.
        home: the data set whose detectors predict the run's own.
        models: the models trained on `home`; none where its detectors come with the workflow.
    """
    train, own = config["train"], config["dataset"] == home
    pending, pairs = [(home, model) for model in models], dict[tuple[str, str], None]()
    wrong: dict[str, None] = {}
    while pending:
        pair = pending.pop(0)
        # What another data set's fitted detectors began with is no longer needed.
        if pair not in pairs and (own or not _is_fitted(*pair, configs.fold_names(config))):
            key, source = plan.source_of(*pair, train["init_from"])
            before = plan.training_before(source, pair[1])
            pending += [before] if before else []
            fault = wrong_source(source, before)
            wrong |= {f"train.init_from.{key}: {fault}": None} if fault else {}
        pairs[pair] = None
    for key, shares in train["together"].items():
        wrong |= {f"train.together.{key}: {fault}": None for fault in wrong_shares(key, shares)}
    yield from wrong
    for section in ("iterations", "init_from", "together"):
        if isinstance(train[section], dict):
            for sentence in wrong_training_keys(train[section], list(pairs) if own else []):
                yield f"train.{section}.{sentence}"


def _is_fitted(dataset: str, model: str, names: Iterable[int | str]) -> bool:
    """Tell whether a model has been trained on a data set in all of its folds."""
    place = Path("results", dataset, "train", model)
    return all((place / f"fold_{fold}" / "model.pth").is_file() for fold in plan.folds(dataset, names))


def wrong_source(source: str, before: tuple[str, str] | None) -> str | None:
    """Return what is wrong with what a training starts from, as the end of a sentence; None if nothing is.

    Args:
        source: a data set, a checkpoint's path, or nothing.
        before: data set and model of the training that makes it, if one does.
    """
    if before is None:
        missing = source and not Path(source).is_file()
        return (
            f"there is no file {source}; put the checkpoint there, or correct its path." if missing else None
        )
    known = configs.known("datasets")
    if before[0] not in known:
        return f"there is no data set {before[0]}; {nearest(before[0], known)}"
    try:
        configs.read("datasets", before[0])
        plan.bases(before[1])
    except WorkflowError as error:
        return str(error)
    return None


def wrong_shares(key: str, shares: Mapping[str, float]) -> Iterator[str]:
    """Yield what is wrong with the data sets that are learnt from beside a training's own."""
    known = configs.known("datasets")
    for name in shares:
        if name not in known:
            yield f"there is no data set {name}; {nearest(name, known)}"
        elif name == key.split("/")[0]:
            yield f"{name} is learnt from anyway; leave it out here."
        elif configs.read("datasets", name)["format"] == "folder":
            yield f"the images of {name} have no annotations to learn from."
    if sum(shares.values()) >= 1:
        yield f"the shares sum to {sum(shares.values()):.3g}; below 1, the rest is the data set's own."


def wrong_training_keys(keys: Iterable[object], trained: list[tuple[str, str]]) -> Iterator[str]:
    """Yield a sentence for each key that is neither a data set of the run's trainings nor that and a model.

    The model need not be trained: a file of keys serves runs of fewer ensembles, too.

    Args:
        keys: the keys as given.
        trained: data set and model of each training. None where another data set's detectors predict: then
            the configuration is that one's, and its keys must be of data sets and models that exist.
    """
    for key in map(str, keys):
        models = configs.known("models", ".py") if "/" in key else []
        names = list(dict.fromkeys(name for name, _ in trained)) or configs.known("datasets")
        known = [f"{name}/{model}" for name in names for model in models] or names
        what = (
            "this run trains no such data set or model" if trained else "there is no such data set or model"
        )
        if key not in known:
            yield f"{key}: {what}; {nearest(key, known)}"
