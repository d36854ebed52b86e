"""What is wrong with ensemble files, in a sentence each, before anything is trained for them."""

from collections.abc import Iterable, Iterator, Sequence
from math import prod

from snakemake.exceptions import WorkflowError

from workflow import configs, plan
from workflow.refusals import refused, unquoted

SCHEMA = configs.ROOT / "workflow" / "schemas" / "ensemble.schema.yaml"

COMBINATIONS = 64
"""Combinations of weights tried at most, as the step `ensemble` has it."""


def wrong(names: Iterable[str], predicted: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each thing that an ensemble's file, or one nested in it, has wrong.

    Args:
        names: the ensembles.
        predicted: the views in which detectors are to predict.
    """
    pending = list(names)
    for name in pending:
        try:
            content, path = configs.read("ensembles", name), configs.file("ensembles", name)
        except WorkflowError as error:
            yield str(error)
            continue
        members = content["members"]
        nested = [member for member in members if plan.is_ensemble(member)]
        pending += [member for member in nested if member not in pending]
        faults = list(_refused(content)) or [
            *_at_odds(content),
            # A nested ensemble's detections are of no view.
            *(_unpredicted(content, predicted) if len(nested) < len(members) else ()),
        ]
        yield from (f"{path}: {fault}" for fault in faults)


def _refused(content: dict) -> Iterator[str]:
    """Yield what the schema refuses."""
    place = next(unquoted(content), None)
    if place is not None:
        yield f"{place}: YAML takes this key for a number or a yes or no; put it in quotes."
        return
    yield from refused(content, SCHEMA, "it", "in quotes it is text: take the quotes away")


def _at_odds(content: dict) -> Iterator[str]:
    """Yield what is wrong with values that are right each by itself; see fusion.Recipe, tuning.Settings."""
    tried = prod(len(weight) for weight in content["members"].values() if isinstance(weight, list))
    if tried > COMBINATIONS:
        yield (
            f"members: {tried} combinations of weights are too many, at most {COMBINATIONS} are tried; "
            "list fewer."
        )
    thresholds = content.get("thresholds", {})
    if thresholds.get("fixed") is not None and len(thresholds) > 1:
        yield ("thresholds: fixed thresholds leave nothing to choose; remove them, or the lists beside them.")


def _unpredicted(content: dict, predicted: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each view that is to be fused and that nothing predicts."""
    for view in content.get("fusion", {}).get("views") or ():
        if view not in predicted:
            yield (
                f"fusion.views: the detectors do not predict the view {view}, only {', '.join(predicted)}; "
                "add it to predict.views of the configuration, or leave it out here."
            )
