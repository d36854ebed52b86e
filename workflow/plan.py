"""What the chain must know before its first job: ensembles' members, where raw data lie, which code a stage runs."""

import ast
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"

SIMULATED = "data/demo"
"""The raw data that the chain draws by itself; all other raw data are put into data/ by hand or by DVC."""


@cache
def read(folder: str, name: str) -> dict:
    """Return the content of configs/{folder}/{name}.yaml; the error for a name without a file lists those there are."""
    path = ROOT / "configs" / folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise WorkflowError(f"configs/{folder}/{name}.yaml does not exist; there are: {known}.")
    return load_configfile(str(path))


def raw(dataset: str) -> list[str]:
    """Return what `validate` reads: the dataset's folder and, so that an edit is noticed, its annotation files."""
    content = read("datasets", dataset)
    root, annotations = content["root"], content.get("annotations", [])
    if root == SIMULATED:
        return [root]
    entries = [{"annotations": annotations}] if isinstance(annotations, str) else annotations
    return [root, *(f"{root}/{entry['annotations']}" for entry in entries if not entry.get("optional"))]


def detectors(dataset: str) -> str:
    """Return the dataset whose detectors predict this one's images: its own, where its file names no other."""
    return read("datasets", dataset).get("detectors", dataset)


def folds(dataset: str, names: Sequence[int | str]) -> list[int | str]:
    """Return the folds of which `dataset` has detectors: one where it comes with a split of its own, else `names`."""
    annotations = read("datasets", dataset).get("annotations")
    predefined = isinstance(annotations, list) and any(entry.get("subset") in ("val", "test") for entry in annotations)
    return [0] if predefined else list(names)


def models(ensembles: Iterable[str]) -> list[str]:
    """Return the models that the ensembles are made of, each once, through nested ensembles too."""
    found: dict[str, None] = {}
    for ensemble in ensembles:
        for member in read("ensembles", ensemble)["members"]:
            if member == ensemble:
                raise WorkflowError(f"configs/ensembles/{ensemble}.yaml names itself as a member; rename the file.")
            found |= dict.fromkeys(models([member])) if is_ensemble(member) else {member: None}
    return list(found)


def is_ensemble(member: str) -> bool:
    """Tell whether an ensemble's member is an ensemble itself."""
    return (ROOT / "configs" / "ensembles" / f"{member}.yaml").is_file()


def detections(dataset: str, ensemble: str, names: Sequence[int | str]) -> list[str]:
    """Return the detections that `ensemble` fuses: each member model's folds, or a member ensemble's own."""
    files = []
    for member in read("ensembles", ensemble)["members"]:
        if is_ensemble(member):
            files.append(f"results/{dataset}/ensemble/{member}.parquet")
        else:
            files += [
                f"results/{dataset}/predict/{member}/fold_{fold}.parquet" for fold in folds(detectors(dataset), names)
            ]
    return files


def weighing(dataset: str, ensemble: str) -> dict[str, list[str]]:
    """Return what `ensemble` needs beyond detections where its file lists weights to choose from: truth, and folds.

    A dataset that another's detectors predict takes the weights chosen on that one, as it does the thresholds.
    """
    open_ = any(isinstance(weight, list) for weight in read("ensembles", ensemble)["members"].values())
    results, home = f"results/{dataset}", detectors(dataset)
    needed = {
        "images": (f"{results}/validate/images.parquet", home == dataset),
        "instances": (f"{results}/validate/instances.parquet", home == dataset),
        "folds": (f"{results}/split/folds.parquet", True),
        "chosen": (f"results/{home}/ensemble/{ensemble}.weights.yaml", home != dataset),
    }
    return {name: [path] if open_ and here else [] for name, (path, here) in needed.items()}


def bases(model: str) -> list[str]:
    """Return the model files of this repository that a model's file builds on, the nearest first."""
    found, pending = [], [Path("configs/models") / f"{model}.py"]
    while pending:
        path = pending.pop()
        tree = ast.parse((ROOT / path).read_bytes()) if (ROOT / path).is_file() else ast.Module([], [])
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_base_":
                named = ast.literal_eval(node.value)
                names = [named] if isinstance(named, str) else named
                pending += [path.parent / name for name in names if "::" not in name]  # mmdet::… is MMDetection's own
        found.append(path.as_posix())
    return found[1:]


def initial(dataset: str, model: str, init_from: dict[str, str]) -> list[str]:
    """Return the checkpoint that a training starts from, none or one: a file, or another dataset's first."""
    source = init_from.get(f"{dataset}/{model}", init_from.get(dataset, ""))
    if source.endswith(".pth"):
        return [source.replace("{model}", model)]
    return [f"results/{source}/train/{model}/fold_0/model.pth"] if source else []


def teachers(model: str, students: dict[str, str]) -> list[str]:
    """Return who teaches a model by pseudo-labels, its teacher first, then that one's, round by round back."""
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


def pseudo(dataset: str, model: str, fold: str, students: dict[str, str], home: str) -> list[str]:
    """Return the pseudo-labels that a training takes in, none or one; of datasets, `home` alone is pseudo-labelled.

    Without that, a dataset that another's training starts from would have to be pseudo-labelled as well.
    """
    labelled = dataset == home and teachers(model, students)
    return [f"results/{dataset}/train/{model}/fold_{fold}/pseudo.parquet"] if labelled else []


def scored(dataset: str, ensembles: list[str], names: Sequence[int | str]) -> dict[str, list[str]]:
    """Return the report's inputs that only a dataset with truth and detectors of its own has."""
    if detectors(dataset) != dataset:
        return {"scalars": [], "metrics": [], "per_image": []}
    results = f"results/{dataset}"
    return {
        "scalars": [
            f"{results}/train/{model}/fold_{fold}/scalars.json"
            for model in models(ensembles)
            for fold in folds(dataset, names)
        ],
        "metrics": [f"{results}/evaluate/{ensemble}.json" for ensemble in ensembles],
        "per_image": [f"{results}/evaluate/{ensemble}.parquet" for ensemble in ensembles],
    }


def targets(
    dataset: str, ensembles: list[str], names: Sequence[int | str], students: dict[str, str]
) -> dict[str, list[str]]:
    """Return, for each stage that DVC lists, the files that make it complete."""
    results, members, known = f"results/{dataset}", models(ensembles), folds(detectors(dataset), names)
    detected = [(model, fold) for model in members for fold in known]
    return {
        "simulate": [SIMULATED],
        "validate": [f"{results}/validate/images.parquet"],
        "split": [f"{results}/split/folds.parquet"],
        "train": [
            f"{results}/train/{model}/fold_{fold}/model.pth" for model in trained(members, students) for fold in known
        ],
        "predict": [f"{results}/predict/{model}/fold_{fold}.parquet" for model, fold in detected],
        "ensemble": [f"{results}/ensemble/{ensemble}.parquet" for ensemble in ensembles],
        "tune": [f"{results}/tune/{ensemble}.yaml" for ensemble in ensembles],
        "segment": [f"{results}/segment/{ensemble}.parquet" for ensemble in ensembles],
        "evaluate": [f"{results}/evaluate/{ensemble}.json" for ensemble in ensembles],
        "submit": [f"{results}/submit/{ensemble}.csv" for ensemble in ensembles],
        "quantify": [f"{results}/quantify/{ensemble}/cells.parquet" for ensemble in ensembles],
        "report": [f"{results}/report/report.html"],
    }


def flag(name: str, value: object) -> str:
    """Return a command's flag with its value, or nothing where there is no value."""
    return f"{name} {value}" if value else ""


def pairs(values: dict[str, object]) -> str:
    """Return keys and values in turn, as a command takes a mapping."""
    return " ".join(f"{key} {value}" for key, value in values.items())


def launcher(processes: int) -> str:
    """Return what starts a script: Python, or torchrun where several processes share its work."""
    return "python" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes}"


def growing(mem_mb: int) -> Callable[..., int]:
    """Return a rule's memory in MB: so much at first, and as much again each time that the job is tried anew."""
    return lambda wildcards, attempt: mem_mb * attempt


def sources(script: str) -> list[Path]:
    """Return the files that a script is made of: itself, and all modules of ours that it uses, directly or not."""
    files: set[Path] = set()
    pending = [SCRIPTS / f"{script}.py"]
    while pending:
        file = pending.pop()
        if file not in files:
            files.add(file)
            pending += _imports(file) if file.suffix == ".py" else []
    return sorted(files)


def code(script: str) -> str:
    """Return a digest of a script's sources: an edit reruns its stage, restoring the old text does not."""
    digest = hashlib.sha256()
    for file in sources(script):
        digest.update(file.relative_to(SCRIPTS).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _imports(file: Path) -> list[Path]:
    """Return the files of neuroseg that a file imports; of a package, every file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = []
    for name in names:
        if name.startswith("neuroseg."):
            module = SCRIPTS.joinpath(*name.split("."))
            candidates = [module.with_suffix(".py"), *(module.rglob("*") if module.is_dir() else ())]
            found += [path for path in candidates if path.is_file() and "__pycache__" not in path.parts]
    return found
