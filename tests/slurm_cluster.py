"""A real Slurm of two nodes on this machine, for tests: Debian's packages, no systemd, a fake GPU a node.

    with slurm_cluster.running() as cluster:
        subprocess.run(["sinfo"], env=cluster.environment)

All of it (configuration, keys, sockets, spool, logs) lies in one temporary folder, it listens on ports that
were free, and its processes carry a mark by which they are found and killed at the end. A Slurm that the
machine may have is not touched.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES = ("n1", "n2")
MARK = "NEUROSEG_TEST_SLURM"
"""Environment variable of daemons: the cluster's folder and, of a node's daemon and job steps, the node."""

CONFIGURATION = """\
ClusterName=neuroseg
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# Seconds that a job's credential is good for, and so how long Slurm holds back a job whose node died (120 by
# default). Whoever lets it start sooner (scontrol update StartTime=now) has the node refuse it, and Slurm
# hold it for ever.
AuthInfo=socket={folder}/munge.sock,cred_expire=30
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdSpoolDir={folder}/spool.%n
# The nodes have the cores and the memory that this file says, whatever the machine has.
SlurmdParameters=config_overrides
# No control groups: they cannot be had in many containers.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
# A node is given up after so many seconds of silence, and may come back.
SlurmdTimeout=10
ReturnToService=2
JobRequeue=1
KillWait=2
MinJobAge=600
SchedulerParameters=sched_interval=2,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
# One line for each run of a job, also of one that was put back into the queue: see records().
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/records
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 RealMemory=64000 Gres=gpu:1"
)
# Snakemake's jobs call srun without SLURM_CONF, which would then look in /etc/slurm.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'


class UnavailableError(Exception):
    """Slurm is not installed and cannot be."""


class Cluster:
    """A cluster under way.

    Attributes:
        folder: Where everything about it lies.
        environment: What its clients, `sbatch` or Snakemake, are to be started with.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen] = []
        self.environment = os.environ | {
            "SLURM_CONF": f"{folder}/slurm.conf",
            "PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin",
        }

    def ask(self, *command: str) -> str:
        """Return what a client prints, nothing if it fails: a controller busy now may answer later."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=20)
        return done.stdout.strip() if done.returncode == 0 else ""

    def start_node(self, name: str) -> None:
        """Start a node, or start it again, and wait until it takes jobs."""
        self._daemon(
            "slurmd", "-D", "-N", name, "-f", f"{self.folder}/slurm.conf", mark=f"{self.folder}:{name}"
        )
        wait(30, lambda: self.ask("sinfo", "-h", "-n", name, "-o", "%T") in ("idle", "mixed"), f"node {name}")

    def kill_node(self, name: str) -> None:
        """Crash a node: its daemon and all processes of its jobs are gone at once, with no word to anyone."""
        _kill(f"{self.folder}:{name}")

    def records(self) -> list[dict[str, str]]:
        """Return what Slurm noted of each run of an ended job: JobId, JobState, StartTime, NodeList, …"""
        lines = (self.folder / "records").read_text().splitlines()
        return [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines]

    def start(self) -> None:
        """Start the key service, the controller and the nodes."""
        self._write()
        munge = f"{self.folder}/munge.sock"
        files = {
            "key-file": "munge.key",
            "pid-file": "munge.pid",
            "log-file": "munge.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{option}={self.folder}/{name}" for option, name in files.items()]
        self._daemon("munged", "--foreground", "--force", f"--socket={munge}", *options)
        wait(10, lambda: self.ask("munge", "-S", munge, "-n"), "munged")
        self._daemon("slurmctld", "-D", "-i", "-f", f"{self.folder}/slurm.conf")
        wait(30, lambda: "UP" in self.ask("scontrol", "ping"), "slurmctld")
        for name in NODES:
            self.start_node(name)

    def stop(self) -> None:
        """Kill every process of the cluster, the jobs' too."""
        _kill(str(self.folder))
        for daemon in self.daemons:
            daemon.wait()

    def _write(self) -> None:
        host, (control, *others) = socket.gethostname().split(".")[0], _free_ports(1 + len(NODES))
        nodes = [
            NODE.format(name=name, host=host, port=port) for name, port in zip(NODES, others, strict=True)
        ]
        user = "root" if os.getuid() == 0 else Path.home().owner()
        text = CONFIGURATION.format(
            host=host, user=user, folder=self.folder, port=control, nodes="\n".join(nodes)
        )
        (self.folder / "slurm.conf").write_text(text)
        # A GPU must be a device; which one does not matter where nobody computes on it.
        (self.folder / "gres.conf").write_text(
            "".join(f"NodeName={name} Name=gpu File=/dev/null\n" for name in NODES)
        )
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\nConstrainDevices=no\n")
        (self.folder / "munge.key").write_bytes(os.urandom(64))
        (self.folder / "munge.key").chmod(0o400)
        for name in ("bin", "state", *(f"spool.{name}" for name in NODES)):
            (self.folder / name).mkdir()
        (self.folder / "bin" / "srun").write_text(SRUN.format(folder=self.folder, srun=shutil.which("srun")))
        (self.folder / "bin" / "srun").chmod(0o755)

    def _daemon(self, name: str, *arguments: str, mark: str | None = None) -> None:
        """Start a daemon that goes when this process goes, even if that is killed."""
        with (self.folder / f"{name}.out").open("a") as output:
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", name, *arguments],
                env=self.environment | {MARK: mark or str(self.folder)},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        self.daemons.append(daemon)


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Start a cluster, and end it whatever happens.

    Raises:
        UnavailableError: Slurm is not installed and cannot be.
    """
    install()
    folder = Path(tempfile.mkdtemp(prefix="neuroseg-slurm-"))
    folder.chmod(0o755)  # munge's clients look into it
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def install() -> None:
    """Install Debian's Slurm, unless it is there."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if all(shutil.which(name, path=path) for name in ("slurmctld", "slurmd", "sbatch", "munged", "setpriv")):
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise UnavailableError(
            "Slurm is not installed (Debian, Ubuntu: apt-get install slurm-wlm slurm-client munge)"
        )
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "check": True, "timeout": 300}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    packages = ["slurm-wlm", "slurm-client", "munge"]
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], **quiet)


def wait(seconds: float, ready: Callable[[], object], what: str) -> None:
    """Wait until `ready` says yes; after so many seconds, raise a TimeoutError naming what was waited for."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.2)


def environment_of(pid: int | str) -> dict[str, str]:
    """Return the environment that a process was started with; nothing if it has ended."""
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in content.split("\0") if "=" in entry)


def processes() -> Iterator[int]:
    """Yield the number of every process of the machine."""
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def kill_commands(text: str) -> None:
    """Kill every process whose command line holds a text."""
    for pid in processes():
        with contextlib.suppress(OSError):  # it may end by itself in between
            if text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def _kill(mark: str) -> None:
    """Kill the processes whose mark begins so, and all that descend from them."""
    doomed = {pid for pid in processes() if environment_of(pid).get(MARK, "").startswith(mark)}
    waiting = list(doomed)
    while waiting:
        found = set(_children(waiting.pop())) - doomed
        doomed |= found
        waiting += found
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for text in texts for child in text.split()]
    return []


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
