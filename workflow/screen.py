"""What is on the screen while steps run: a line a step, how far long ones are, notes; what failed, last.

A run with VERBOSE=1, and a dry run, show all that Snakemake says; `.snakemake/log/` holds it in any case, and
`logs/{dataset}/` what each step said.
"""

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake.logging import LogEvent, logger
from snakemake.shell import shell

from workflow import stopping

PAUSE = 30
"""Seconds between two looks at how far the long steps are."""

TAIL = 4096
"""Bytes of a log's end in which its last lines are looked for."""

NOTED = 2**20
"""Bytes of a log that are looked through for notes at a time."""

ENDED = re.compile(r"returned non-zero exit status (\d+)\.|died with <Signals\.\w+: (\d+)>")
"""How Snakemake tells what a step's command ended with: more than 128 is a signal's number added to that."""

SIGNALS: dict[int, str] = {
    signal.SIGKILL: "it was killed, most likely because this computer's memory ran out",
    signal.SIGTERM: "it was stopped from outside (signal SIGTERM)",
    signal.SIGHUP: "it was stopped from outside (signal SIGHUP)",
    signal.SIGINT: "it was interrupted from outside (signal SIGINT)",
    signal.SIGXCPU: "it took more computing time than this computer allows it (signal SIGXCPU)",
}
"""What is said of a step that a signal ended; of other signals, that it crashed."""

USUAL = re.compile(r" left$|^(initialised anew|began with|note: |training )")
"""Last lines of a log whose step was well until then."""

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that move a terminal's cursor or turn the direction of writing."""

HIDDEN = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.SHELLCMD,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED,
    LogEvent.PROGRESS,
    LogEvent.RUN_INFO,
}
"""Snakemake's events that leave nothing on the screen."""

UNSAID = re.compile(
    r"(Building DAG|DAG of jobs|Updating checkpoint|Using shell|Select jobs|Execute \d|Complete log|host:"
    r"|Assuming|Shutting down|Exiting because|Removing output|Trying to restart|Restarting|Finished jobid"
    r"|Conda environments: ignored|RuleException:\nCalledProcessError|\[\w{3} \w{3})"
)
"""How those of Snakemake's messages begin that leave nothing on the screen; what else it says stays."""


def shorten(settings: Any, environ: Mapping[str, str] = os.environ) -> None:
    """Have Snakemake say a line a step on the screen, and the steps themselves speak to their logs alone.

    Args:
        settings: Snakemake's own, of output. A dry run stays as it is, and so does one that is quiet already.
        environ: VERBOSE, if not empty, leaves everything as it is.
    """
    if environ.get("VERBOSE") or settings is None or settings.dryrun or settings.quiet:
        return
    handlers: list[Any] = logger.handlers  # Snakemake's own know of more than logging's
    for handler in handlers:
        if handler.name == "DefaultStreamHandler" and not isinstance(handler.formatter, Brief):
            brief = Brief(handler)
            handler.setFormatter(brief)
            handler.last_msg_was_job_info = True
            logging.raiseExceptions = False  # where the disk is full, Snakemake's own log fails at every line
            # Of a command that a signal ends, bash says so with all its flags: from a function, to the log.
            shell.prefix('set -euo pipefail; exec > /dev/null; python() {{ command python "$@"; }}; ')
            threading.Thread(target=brief.watch, daemon=True).start()


class Brief(logging.Formatter):
    """A line for each step begun, a sentence for each that fails, and what failed once more at the end."""

    def __init__(self, handler: Any) -> None:
        super().__init__()
        self.handler, self.said = handler, ""
        self.total, self.begun = 0, 0
        self.running: dict[int, tuple[str, list[str]]] = {}  # job, until it ends well: its name, its logs
        self.failed: dict[str, str] = {}  # name: sentence
        self.statuses: dict[str, int] = {}  # log: what its step's command ended with
        self.noted: set[tuple[str, str]] = set()  # what steps' notes have said, by the log that held it
        self.read: dict[str, int] = {}  # log: how many of its bytes have been looked through for notes

    def format(self, record: Any) -> str:
        """Return what a record says on the screen; nothing where it is left out, or was said just before."""
        text = self._brief(record)
        repeated = text == self.said
        self.said = text or self.said
        self.handler.last_msg_was_job_info = True  # keeps the handler from a blank line before each step
        return "" if repeated else text

    def _brief(self, record: Any) -> str:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.total = record.stats.get("total", 0)
        elif event == LogEvent.JOB_INFO:
            return self._begins(record)
        elif event == LogEvent.JOB_ERROR:
            return "" if stopping.asked() else self._fails(record)  # stopped, not failed
        elif event == LogEvent.JOB_FINISHED:
            name, logs = self.running.pop(record.job_id, ("", []))
            self.failed.pop(name, None)
            return "\n".join(self._notes(name, logs))
        text = str(record.msg or "")
        if text.startswith("CalledProcessError", text.find("\n") + 1):
            self._ended(text)
        if text.startswith(("Terminating processes on user request", "Will exit after finishing")):
            names = ", ".join(name for name, _ in self.running.values())
            return f"waiting for the end of {names}" if names else ""
        if "At least one job did not complete successfully" in text and (self.failed or stopping.asked()):
            return "\n".join(filter(_failed_by_itself, self.failed.values()))
        over = text.startswith("Elapsed time") and bool(self.failed)  # what failed shall stand last
        return "" if event in HIDDEN or UNSAID.match(text) or over else record.getMessage()

    def _begins(self, record: Any) -> str:
        label, again = named(record.rule_name, record.wildcards), record.jobid in self.running
        self.running[record.jobid] = (label, list(record.log))
        if again:  # its log is begun anew
            self.read |= dict.fromkeys(record.log, 0)
            return f"{time.strftime('%H:%M:%S')} once more: {label}"
        self.begun += 1
        return f"{time.strftime('%H:%M:%S')} step {self.begun} of {max(self.total, self.begun)}: {label}"

    def _fails(self, record: Any) -> str:
        label, logs = self.running.get(record.jobid, (record.rule_name, list(record.log)))
        before = self.failed.get(label)
        # a cluster's: timed out, cancelled
        scheduler = " ".join(str(getattr(record, "rule_msg", None) or "").split())
        status = self.statuses.pop(logs[0], 0) if logs else 0
        said = stopped(status, logs[0]) if status > 128 else last_sentence(logs[0]) if logs else ""
        sentence = "; ".join(filter(None, [scheduler.rstrip("."), said]))
        where = f" (all of it: {logs[0]})" if logs else ""
        self.failed[label] = f"error: {label} failed: {sentence or 'it left no sentence'}{where}"
        # Ctrl-C may reach a step before it reaches this process: whether it did is known at the run's end.
        unsaid = self.failed[label] == before or status == stopping.INTERRUPTED
        return "" if unsaid else "\n".join([*self._notes(label, logs), self.failed[label]])

    def _ended(self, text: str) -> None:
        """Keep what a step's command ended with, by the log that the command names."""
        if found := ENDED.search(text):
            status = int(found[1]) if found[1] else 128 + int(found[2])
            self.statuses |= {log: status for _, logs in self.running.values() for log in logs if log in text}

    def _notes(self, label: str, logs: list[str]) -> list[str]:
        """Return a step's notes to a person that have not been said yet."""
        if not logs:
            return []
        told: list[str] = []
        start, end = -1, self.read.get(logs[0], 0)
        while end != start:
            start = end
            more, end = notes(logs[0], start)
            told += more
        self.read[logs[0]] = end
        new = [note for note in dict.fromkeys(told) if (logs[0], note) not in self.noted]
        self.noted |= {(logs[0], note) for note in new}
        return [f"         {label}: {note}" for note in new]

    def watch(self) -> None:
        """Say now and then how far each running step is, where its log tells."""
        told: dict[str, str] = {}
        while True:
            time.sleep(PAUSE)
            for label, logs in list(self.running.values()):
                for note in self._notes(label, logs):
                    logger.info(note)
                line = how_far(logs[0]) if logs else ""
                if line and told.get(label) != line:
                    told[label] = line
                    logger.info(f"         {label}: {line}")


def named(rule: str, wildcards: Mapping[str, str]) -> str:
    """Return what a person calls a step: the rule, and what of it, without the data set."""
    parts = [
        f"fold {value}" if key == "fold" else value for key, value in wildcards.items() if key != "dataset"
    ]
    return " ".join([rule, *map(str, parts)])


def _failed_by_itself(sentence: str) -> bool:
    """Tell whether what is said of a step is news to who pressed Ctrl-C, or did not."""
    return not (stopping.asked() and SIGNALS[signal.SIGINT] in sentence)


def tail(log: str) -> list[str]:
    """Return the last lines of a log, none where it cannot be read."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, Path(log).stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = (plain(line) for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line]


def plain(line: str) -> str:
    """Return a line without the frame that is drawn around a usage error, what steers a terminal as ?."""
    return STEERING.sub("?", line.strip("╭╮╰╯│─ \t\r\n"))


def stopped(status: int, log: str) -> str:
    """Return what is said of a step whose command ended with a signal's status, and where it was then."""
    number = status - 128
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    after = how_far(log)
    return SIGNALS.get(number, f"it crashed ({name})") + (f", after: {after}" if after else "")


def how_far(log: str) -> str:
    """Return the last line of a log that tells the time left, or nothing."""
    return next((line for line in reversed(tail(log)) if line.endswith(" left")), "")


def notes(log: str, start: int = 0) -> tuple[list[str], int]:
    """Return the lines of a log that tell a person something, from a byte on, and the byte to go on from.

    A log that cannot be read has none so far; one that has been begun anew is read from its beginning.
    """
    try:
        with Path(log).open("rb") as file:
            start = start if file.seek(0, os.SEEK_END) >= start else 0
            file.seek(start)
            lines = file.read(NOTED).splitlines(keepends=True)
    except OSError:
        return [], 0
    whole = [line for line in lines if line.endswith((b"\n", b"\r")) or len(line) == NOTED]
    said = [plain(line.decode(errors="replace")) for line in whole if line.startswith(b"note: ")]
    return said, start + sum(map(len, whole))


def last_sentence(log: str) -> str:
    """Return what a failed step said last: its own sentence for the user, else its last line."""
    lines = tail(log)
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if own or not lines:
        return own[-1] if own else ""
    stopped = "it was stopped from outside, or ran out of memory, after: "
    return stopped + lines[-1][:80] if USUAL.search(lines[-1]) else lines[-1]
