"""The ledger's commits in a small repository: all of one happens or nothing, whatever Git and names are."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import repository_recorded
from ledger import branch, commits, wholeness
from ledger.commands import RunError
from repository_recorded import git

BOARD = "results/leaderboard.csv"
OLD, NEW = "results/demo/evaluate/one.json", "results/demo/evaluate/two.json"
METRICS = "".join(f"measure {number}: 0.25\n" for number in range(20))


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A repository with the metrics of one run."""
    repository_recorded.settle(monkeypatch)
    git("init", "--quiet", "--initial-branch", "main", folder=tmp_path)
    repository_recorded.write(
        tmp_path, {OLD: METRICS, "dvc.lock": "", BOARD: "name,dataset,ensemble,map,submission\n"}
    )
    git("add", "--all", folder=tmp_path)
    git("commit", "--quiet", "--message", "Begin", folder=tmp_path)
    return tmp_path


def state(root: Path) -> tuple[object, ...]:
    files = {path: path.read_bytes() for path in sorted((root / "results").rglob("*")) if path.is_file()}
    staged = git("ls-files", "--stage", folder=root)
    return files, staged, git("for-each-ref", folder=root), git("status", "--porcelain", folder=root)


def next_commit(root: Path) -> tuple[str, dict[str, bytes], list[str]]:
    put = {NEW: METRICS.encode(), BOARD: b"name,dataset,ensemble,map,submission\nsecond,demo,two,0.25,5e\n"}
    tree = commits.tree(root, "HEAD", put, [OLD], "Record run second: map 0.2500 (two)")
    return commits.commit(root, tree, ["HEAD"], "Record run second: map 0.2500 (two)"), put, [OLD]


@pytest.mark.parametrize("lock", ["index.lock", "refs/heads/main.lock"])
def test_beside_another_git_at_work_files_and_index_stay_as_they_were(root, lock):
    commit, put, drop = next_commit(root)
    before = state(root)
    (root / ".git" / lock).touch()
    with pytest.raises(RunError, match=r"main\.lock|index\.lock"):
        commits.advance(root, commit, put, drop, "record run second")
    (root / ".git" / lock).unlink()
    assert state(root) == before
    commits.advance(root, commit, put, drop, "record run second")
    assert git("status", "--porcelain", folder=root) == ""
    assert git("rev-parse", "HEAD", folder=root) == commit


def test_a_full_disk_leaves_files_and_index_as_they_were(root, monkeypatch):
    commit, put, drop = next_commit(root)
    before = state(root)
    real = commits.write

    def full(path: Path, content: bytes) -> None:
        if path.name == "leaderboard.csv" and b"second" in content:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(commits, "write", full)
    with pytest.raises(OSError, match="No space"):
        commits.advance(root, commit, put, drop, "record run second")
    assert state(root) == before


def test_metrics_under_another_name_leave_nothing_of_the_former_behind(root):
    commit, _, _ = next_commit(root)
    commits.tag(root, "run/second", commit, "map two 0.2500")
    branch.join("second", root)
    assert git("status", "--porcelain", folder=root) == ""
    assert not (root / OLD).exists()
    assert (root / NEW).read_text() == METRICS


def test_an_interrupted_recording_is_not_finished_over_edits(root):
    repository_recorded.write(root, {"configs/pipeline.yaml": "seed: 1\n"})
    git("add", "--all", folder=root)
    git("commit", "--quiet", "--message", "Configure", folder=root)
    commit, _, _ = next_commit(root)
    commits.tag(root, "run/second", commit, "map two 0.2500")
    mine = "name,dataset,ensemble,map,submission,public\n"
    (root / BOARD).write_text(mine)
    with pytest.raises(
        RunError, match=rf"these files are not committed: {BOARD}; put them aside \(`git stash`\)"
    ):
        branch.finish("second", None, root)
    assert (root / BOARD).read_text() == mine


def test_a_name_in_another_encoding_is_told_as_not_committed(root):
    with open(os.fsencode(root) + b"/Z\xe4hlung.txt", "w") as file:  # noqa: PTH123  an old archive's
        file.write("notes")
    assert commits.changes(root, []) == ["Z\udce4hlung.txt"]


@pytest.mark.parametrize(
    "place",
    ["plate1/__init__.py", "plate1/config.yaml", "plate1/best.PTH", "a.tif", "results/a.tif", ".mine/a"],
)
def test_new_files_that_a_run_may_read_are_refused_with_the_ways_to_mend_it(root, place):
    repository_recorded.write(root, {"plate1/a.tif": "image", place: "new"})
    changed = commits.changes(root, wholeness.beside({}, root))
    assert changed == [place]
    with pytest.raises(
        RunError, match=rf"^these files are new to Git: {place}; .* out of the clone or list it"
    ):
        wholeness.refuse_uncommitted(changed, root)
    repository_recorded.write(root, {".git/info/exclude": f"/{place}\n"})
    assert commits.changes(root, wholeness.beside({}, root)) == []


def test_of_many_files_a_refusal_names_some(root):
    repository_recorded.write(root, {f"{number}.tif": "image" for number in range(8)} | {OLD: "other"})
    with pytest.raises(RunError) as refused:
        wholeness.refuse_uncommitted(commits.changes(root, []), root)
    edited, new = refused.value.sentences
    assert edited == f"these files are not committed: {OLD}; commit or stash them: a run is a commit."
    assert new.startswith("these files are new to Git: 0.tif, 1.tif, 2.tif, 3.tif, 4.tif and 3 more; ")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("root: plate1", True),
        ("root: data/mine\nimages: [../../plate1/day1]", True),
        ("root: data/plate1", False),
        ("root: ~nobody/plate1", False),
        ("root: [", False),
    ],
)
def test_images_to_which_the_runs_dataset_file_or_configuration_leads_are_read(root, text, read):
    files = {"plate1/a.tif": "image", "configs/datasets/own/mine.yaml": text}
    repository_recorded.write(root, files | {"configs/datasets/own/other.yaml": "root: plate1"})
    found = ["plate1/a.tif"]
    assert wholeness.beside({"dataset": "mine"}, root) == ([] if read else found)
    assert wholeness.beside({"dataset": "other"}, root) == []
    assert wholeness.beside({"dataset": "third"}, root) == found
    assert wholeness.beside({"dataset": "third", "train": {"init_from": "plate1/a.tif"}}, root) == []


@pytest.mark.parametrize(
    ("text", "words"), [("exit 0", None), ("echo no; exit 1", "the hook pre-commit refuses")]
)
def test_a_hook_without_a_first_line_is_called_by_the_shell_as_git_does(root, text, words):
    hook = root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(text)
    hook.chmod(0o755)
    if words is None:
        commits.check(root, "Record run second")
    else:
        with pytest.raises(RunError, match=words):
            commits.check(root, "Record run second")


def test_a_hook_whose_program_is_not_here_is_named(root):
    hook = root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/no/such/program\n")
    hook.chmod(0o755)
    with pytest.raises(RunError, match=r"the hook \S*pre-commit cannot be called"):
        commits.check(root, "Record run second")
