"""What is wrong with a configuration, in a sentence each, before anything runs."""

import copy
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import jsonschema
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from workflow import configs, plan

SCHEMA = configs.ROOT / "workflow" / "schemas" / "pipeline.schema.yaml"
DEFAULTS = configs.ROOT / "configs" / "pipeline.yaml"


def complete(config: dict) -> None:
    """Give a configuration the keys of the workflow's configs/pipeline.yaml that it does not set itself."""
    given = copy.deepcopy(config)
    config.update(configs.load(DEFAULTS))
    update_config(config, given)


def stop_at_mistakes(config: Mapping) -> None:
    """End with a sentence for each mistake of a configuration, if there are any.

    Raises:
        SystemExit: its message is the sentences, and nothing stands before or after them on the screen.
    """
    found = list(wrong_keys(config)) or list(wrong_names(config))
    if found:
        raise SystemExit("\n".join(f"error: {sentence}" for sentence in found))


def wrong_keys(config: Mapping) -> Iterator[str]:
    """Yield a sentence for each key or value that the schema refuses."""
    validator = jsonschema.Draft202012Validator(configs.load(SCHEMA))
    for fault in sorted(validator.iter_errors(dict(config)), key=lambda fault: list(map(str, fault.path))):
        place = ".".join(map(str, fault.path))
        if fault.validator == "additionalProperties" and isinstance(fault.schema.get("properties"), dict):
            known = list(fault.schema["properties"])
            for key in fault.instance.keys() - known:
                whole = ".".join(filter(None, (place, str(key))))
                yield f"the configuration has no key {whole}; {nearest(key, known)}"
        else:
            yield f"{place or 'the configuration'}: {fault.message}."


def nearest(word: object, known: list[str]) -> str:
    """Return the known word that was probably meant, or all of them, as the end of a sentence."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}."


def wrong_names(config: Mapping) -> Iterator[str]:
    """Yield a sentence for the first name that stands for no file, and for raw data that are not there."""
    students = config["train"]["pseudo_label"]["students"]
    try:
        configs.choose_study(config["study"])
        ensembles = plan.ensembles(config["dataset"], config["ensembles"])
        home = configs.detectors(config["dataset"])
        for model in [] if configs.bundled(home) else plan.trained(plan.models(ensembles), students):
            configs.file("models", model, ".py")
        yield from missing_data(config["dataset"])
    except WorkflowError as error:
        yield str(error)


def missing_data(dataset: str) -> Iterator[str]:
    """Yield a sentence where neither a dataset's raw files nor its tables are there."""
    content = configs.read("datasets", dataset)
    root = content.get("root", "")
    made = Path("results", dataset, "validate", "images.parquet")
    if root != plan.SIMULATED and not Path(root).exists() and not made.exists():
        where = content.get(
            "source", f"put the images there, or correct root in {configs.file('datasets', dataset)}."
        )
        yield f"{root} does not exist: {where}"
