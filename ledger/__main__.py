"""Runs as commits: record what is computed, make a checkout agree with its record, compute a run again.

A run is one commit: the code and the configuration it ran with, dvc.lock with the hash of every stage's
inputs and outputs, the metrics, and its lines in results/leaderboard.csv. It bears the tag run/NAME.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # called as `python ledger`: no other folder named in the environment comes before ours
    sys.path[0] = str(ROOT)

from ledger import push, record, reproduction, sync, tags, verify  # noqa: E402
from ledger.commands import InterruptionError, RunError  # noqa: E402

INTERRUPTED = 128 + signal.SIGINT
"""The exit status of a program that Ctrl-C ended."""


def parser() -> argparse.ArgumentParser:
    """Return the command line: one subcommand a module, whose docstring is its help."""
    formatter = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="python ledger", description=__doc__, formatter_class=formatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, module: ModuleType, does: Callable[[argparse.Namespace], bool | None]
    ) -> argparse.ArgumentParser:
        text = module.__doc__ or ""
        one = commands.add_parser(
            name, help=text.partition("\n")[0], description=text, formatter_class=formatter
        )
        one.set_defaults(does=does)
        return one

    one = add("record", record, lambda given: record.record(given.name, given.config, given.snakemake, ROOT))
    one.add_argument(
        "--config", type=Path, metavar="FILE", help="of the keys that differ from configs/pipeline.yaml"
    )
    one.add_argument("name", metavar="NAME", help="of the run; its tag is run/NAME")
    one.add_argument(
        "snakemake", metavar="...", nargs=argparse.REMAINDER, help="more arguments for Snakemake"
    )

    one = add("push", push, lambda given: push.push(given.name, ROOT))
    one.add_argument("name", metavar="NAME", help="of the run")

    add("sync", sync, lambda given: sync.sync(ROOT))

    add("tags", tags, lambda given: tags.tags(ROOT))

    one = add("verify", verify, lambda given: verify.verify(given.name, ROOT))
    one.add_argument("name", metavar="NAME", help="of the run")

    one = add(
        "reproduce", reproduction, lambda given: reproduction.reproduce(given.name, ROOT, given.environment)
    )
    one.add_argument("name", metavar="NAME", help="of the run")
    one.add_argument("--environment", type=Path, metavar="FOLDER", help="compute in this one, made by hand")
    return top


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for, and return the exit status, 130 after Ctrl-C."""
    given = parser().parse_args(arguments)
    try:
        return 1 if given.does(given) is False else 0
    except RunError as error:
        print("\n".join(f"error: {sentence}" for sentence in error.sentences), file=sys.stderr)
        return INTERRUPTED if isinstance(error, InterruptionError) else 1
    except OSError as error:
        print(
            f"error: {error.strerror or error}: {error.filename or 'a file of the repository'}.",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("error: interrupted; the same call goes on from here.", file=sys.stderr)
        return INTERRUPTED
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
