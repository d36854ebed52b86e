"""What the chain must know before its first job: ensembles' members, where raw data lie, stages' code."""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import expand

from workflow.configs import PLAIN, ROOT, bundled, detectors, file, near, read
from workflow.digests import code as code
from workflow.digests import sources as sources
from workflow.model_files import bases as bases
from workflow.raw import SIMULATED as SIMULATED
from workflow.raw import raw as raw


def ensembles(dataset: str, configured: Sequence[str]) -> list[str]:
    """Return ensembles to compute: the configured or, where the workflow brings detectors, those alone."""
    home = detectors(dataset)
    return [home] if bundled(home) else list(configured)


def held_out(dataset: str, folds: str, fold: str) -> str:
    """Return flags that name the images a detector has not learnt from: all, where the workflow brings it."""
    return "" if bundled(detectors(dataset)) else f"{flag('--folds', folds)} {flag('--fold', fold)}"


def folds(dataset: str, names: Iterable[int | str]) -> list[int | str]:
    """Return the folds of which `dataset` has detectors: one where it comes with its own split, else `names`.

    Detectors that come with the workflow have one fold, all.
    """
    if bundled(dataset):
        return ["all"]
    annotations = read("datasets", dataset).get("annotations")
    predefined = isinstance(annotations, list) and any(
        entry.get("subset") in ("val", "test") for entry in annotations
    )
    return [0] if predefined else list(names)


def models(ensembles: Iterable[str], above: Sequence[str] = ()) -> list[str]:
    """Return the models that the ensembles are made of, each once, through nested ensembles too.

    Raises:
        WorkflowError: an ensemble is a member of itself, or of its members.
    """
    found: dict[str, None] = {}
    for ensemble in ensembles:
        for member in read("ensembles", ensemble)["members"]:
            if member == ensemble and not bundled(member):
                raise WorkflowError(
                    f"{file('ensembles', ensemble)} names itself as a member; rename the file."
                )
            if member in above:
                circle = " has the member ".join([*above[above.index(member) :], ensemble, member])
                raise WorkflowError(
                    f"{file('ensembles', ensemble)}: members: {circle}, which is a circle; leave one out."
                )
            nested = is_ensemble(member)
            found |= dict.fromkeys(models([member], [*above, ensemble])) if nested else {member: None}
    return list(found)


def is_ensemble(member: str) -> bool:
    """Tell whether an ensemble's member is an ensemble itself."""
    try:
        file("ensembles", member)
    except WorkflowError:
        return False
    return not bundled(member)


def detections(rules: Any, dataset: str, ensemble: str, names: Sequence[int | str]) -> list[str]:
    """Return the detections that `ensemble` fuses: each member model's folds, or a member ensemble's own."""
    fused, predicted = rules.ensemble.output.detections, rules.predict.output.detections
    files = []
    for member in read("ensembles", ensemble)["members"]:
        if is_ensemble(member):
            files += expand(fused, dataset=dataset, ensemble=member)
        else:
            files += expand(predicted, dataset=dataset, model=member, fold=folds(detectors(dataset), names))
    return files


def weighing(rules: Any, dataset: str, ensemble: str) -> dict[str, list[str]]:
    """Return what `ensemble` needs beyond detections if its file lists weights to choose from: truth, folds.

    A dataset that another's detectors predict takes the weights chosen on that one, as it does the
    thresholds.
    """
    open_ = any(isinstance(weight, list) for weight in read("ensembles", ensemble)["members"].values())
    home = detectors(dataset)
    needed = {
        "images": (rules.validate.output.seen, dataset, home == dataset),
        "instances": (rules.validate.output.instances, dataset, home == dataset),
        "folds": (rules.split.output.folds, dataset, True),
        "chosen": (rules.ensemble.output.weights, home, home != dataset),
    }
    return {
        name: expand(path, dataset=whose, ensemble=ensemble) if open_ and here else []
        for name, (path, whose, here) in needed.items()
    }


def source_of(dataset: str, model: str, init_from: Mapping[str, str]) -> tuple[str, str]:
    """Return the key that says what a training starts from, and that: a data set, a checkpoint's path, "".

    A checkpoint of `resources/` that the working folder lacks is the workflow's own.
    """
    key = _key(dataset, model, init_from)
    if not (source := init_from.get(key, "")).endswith(".pth"):
        return key, source
    path = source.replace("{model}", model)
    if path.startswith("resources/") and not Path(path).is_file() and (ROOT / path).is_file():
        return key, near(ROOT / path)
    return key, path


def training_before(source: str, model: str) -> tuple[str, str] | None:
    """Return data set and model of the training that makes what `model` starts from, if one does."""
    if not source.endswith(".pth"):
        return (source, model) if source else None
    made = re.fullmatch(rf"results/({PLAIN})/train/([a-z0-9_]+)/fold_(?:[0-9]+|all)/model\.pth", source)
    return (made[1], made[2]) if made else None


def initial(rules: Any, dataset: str, model: str, init_from: dict[str, str]) -> list[str]:
    """Return the checkpoint that a training starts from, none or one: a file, or another dataset's first."""
    _, source = source_of(dataset, model, init_from)
    if source.endswith(".pth"):
        return [source]
    return expand(rules.train.output.checkpoint, dataset=source, model=model, fold=0) if source else []


def further(dataset: str, model: str, together: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """Return the data sets that a training learns from beside its own, each with its share of the samples."""
    return together.get(_key(dataset, model, together), {})


def further_flag(images: str, shares: Mapping[str, float]) -> str:
    """Return the flag that names the folders of further data sets' tables, each with its share."""
    folders = {Path(*expand(images, dataset=name)).parent.as_posix(): share for name, share in shares.items()}
    return f"--further {pairs(folders)}" if folders else ""


def iterations(dataset: str, model: str, given: int | dict[str, int] | None) -> int | None:
    """Return a training's length, given for all, by data set or data set/model; None for the model's own."""
    if isinstance(given, dict):
        return given.get(_key(dataset, model, given))
    return given


def _key(dataset: str, model: str, given: Mapping[str, object]) -> str:
    """Return the key that speaks of a training: that of the data set and the model, else of the data set."""
    both = f"{dataset}/{model}"
    return both if both in given else dataset


def teachers(model: str, students: dict[str, str]) -> list[str]:
    """Return who teaches a model by pseudo-labels, its teacher first, then that one's, round by round."""
    line = [model]
    while line[-1] in students:
        line.append(students[line[-1]])
        if line[-1] in line[:-1]:
            raise WorkflowError(
                f"train/pseudo_label/students: {' learns from '.join(line)}, which is a circle; "
                "give each round's student a model file of its own."
            )
    return line[1:]


def trained(members: Iterable[str], students: dict[str, str]) -> list[str]:
    """Return the models to train: the ensembles' members and their teachers, each once."""
    return list(dict.fromkeys(name for model in members for name in (model, *teachers(model, students))))


def taught(dataset: str, model: str, students: dict[str, str], home: str) -> bool:
    """Tell whether a model learns from pseudo-labels; of datasets, `home` alone is pseudo-labelled.

    Without that, a dataset that another's training starts from would have to be pseudo-labelled as well.
    """
    return dataset == home and bool(teachers(model, students))


def scored(
    rules: Any, dataset: str, ensembles: list[str], names: Sequence[int | str]
) -> dict[str, list[str]]:
    """Return the report's inputs that only a dataset with truth and detectors of its own has."""
    found: dict[str, tuple[str, dict[str, list]]] = {
        "scalars": (rules.train.output.scalars, {"model": models(ensembles), "fold": folds(dataset, names)}),
        "metrics": (rules.evaluate.output.metrics, {"ensemble": ensembles}),
        "per_image": (rules.evaluate.output.per_image, {"ensemble": ensembles}),
    }
    own = detectors(dataset) == dataset
    return {name: expand(path, dataset=dataset, **of) if own else [] for name, (path, of) in found.items()}


def targets(
    rules: Any, dataset: str, ensembles: list[str], names: Sequence[int | str], students: dict[str, str]
) -> dict[str, list[str]]:
    """Return, for each stage that DVC lists, the files that make it complete."""
    members, known = models(ensembles), folds(detectors(dataset), names)
    made = {
        "simulate": rules.simulate.output.raw,
        "validate": rules.validate.output.images,
        "split": rules.split.output.folds,
        "train": rules.train.output.checkpoint,
        "predict": rules.predict.output.detections,
        "ensemble": rules.ensemble.output.detections,
        "tune": rules.tune.output.thresholds,
        "segment": rules.segment.output.instances,
        "evaluate": rules.evaluate.output.metrics,
        "submit": rules.submit.output.submission,
        "quantify": rules.quantify.output.cells,
        "export": rules.export.output.folder,
        "report": rules.report.output.report,
    }
    of = {"dataset": dataset, "ensemble": ensembles, "model": members, "fold": known}
    trains = {**of, "model": trained(members, students)}
    return {stage: expand(path, **(trains if stage == "train" else of)) for stage, path in made.items()}


def flag(name: str, values: str | float | Iterable[str] | None) -> str:
    """Return a command's flag with its value or values, quoted for the shell, or nothing without a value."""
    listed = [values] if isinstance(values, (str, int, float)) else list(values or ())
    return f"{name} {shlex.join(map(str, listed))}" if any(listed) else ""


def pairs(values: Mapping[str, object]) -> str:
    """Return keys and values in turn, quoted for the shell, as a command takes a mapping."""
    return shlex.join(str(part) for pair in values.items() for part in pair)


def launcher(processes: int) -> str:
    """Return what starts a script: Python, or torchrun where several processes share its work."""
    return "python" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes}"


def set_page_aside(dataset: str, started: float) -> None:
    """Rename the report of an earlier run when a run has failed, so that it does not look like this one's."""
    page = Path("results", dataset, "report", "report.html")
    if page.is_file() and page.stat().st_mtime < started:
        page.replace(page.with_name("report.earlier.html"))


def growing(mem_mb: int) -> Callable[..., int]:
    """Return a rule's memory in MB: so much at first, and as much again each time the job is tried anew."""
    return lambda wildcards, attempt: mem_mb * attempt
