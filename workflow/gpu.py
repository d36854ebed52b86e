"""Run a command with GPUs of its own: `python workflow/gpu.py 1 python scripts/train.py …`.

Snakemake counts the GPUs that jobs ask for, but does not say which of them a job gets, and PyTorch takes the
first. This picks free ones, shows the command those alone, and becomes the command. A GPU is taken by a lock
on a file, which the system lets go when the command ends, in whatever way; so two workflows on one machine
keep out of each other's way too. It needs the standard library only, since it runs in a rule's own
environment.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"


def count(devices: Path = Path("/dev")) -> int:
    """Return the number of this machine's NVIDIA GPUs, by their device files: nothing need be called."""
    return len(list(devices.glob("nvidia[0-9]*")))


def offered(environ: Mapping[str, str], installed: int) -> list[str]:
    """Return the GPUs to choose from: those that the environment (a person, a scheduler) names, else all."""
    if VISIBLE not in environ:
        return [str(number) for number in range(installed)]
    names = [name.strip() for name in environ[VISIBLE].split(",")]
    return [name for name in names if name not in ("", "-1")]


def take(names: Sequence[str], wanted: int, folder: Path, pause: float = 1.0) -> list[str]:
    """Return `wanted` GPUs that no other command holds, held until this process ends; wait if there are none.

    Either all or none are held, so that two commands that want several cannot wait for each other.
    """
    told = False
    while True:
        locks = {name: lock for name in names if (lock := _lock(folder / name.replace("/", "_"))) is not None}
        taken = list(locks)[:wanted]
        for name in locks.keys() - set(taken if len(taken) == wanted else ()):
            os.close(locks[name])
        if len(taken) == wanted:
            return taken
        if not told:
            print(
                f"waiting: of the GPUs {', '.join(names)} fewer than {wanted} are free",
                file=sys.stderr,
                flush=True,
            )
            told = True
        time.sleep(pause)


def _lock(path: Path) -> int | None:
    """Return the descriptor holding a lock file, for the command to inherit; None if another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.set_inheritable(descriptor, True)
    return descriptor


def lock_folder(environ: Mapping[str, str]) -> Path:
    """Return the lock files' folder: one a user, and one a Slurm job, where the first GPU is 0 in every job.

    It is the same for all commands on a machine, whatever TMPDIR each was given; NEUROSEG_GPU_LOCKS names
    another.
    """
    job = environ.get("SLURM_JOB_ID", "machine")
    folder = Path(environ.get("NEUROSEG_GPU_LOCKS", "/tmp")) / f"neuroseg-gpus-{os.getuid()}" / job
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def main(wanted: int, command: Sequence[str]) -> None:
    """Become `command`, with `wanted` GPUs of its own where there are any to choose from."""
    names = offered(os.environ, count())
    if wanted and names:
        if wanted > len(names):
            had = ", ".join(names)
            sys.exit(f"error: {wanted} GPUs are wanted, but only {had} can be had; lower the rule's gpu.")
        try:
            os.environ[VISIBLE] = ",".join(take(names, wanted, lock_folder(os.environ)))
        except KeyboardInterrupt:
            print("error: interrupted while waiting for a GPU", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
    os.execvp(command[0], list(command))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
