"""The set-up: what is built for what, when anew, and failures that say how to mend them."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "envs"))

import install  # noqa: E402
import machine  # noqa: E402
import operators  # noqa: E402
import progress  # noqa: E402

TARGET = machine.Target("2.13.0+cpu", "cp311", "linux-x86_64", "cpu", "", Path("/headers"), Path("/packages"))


class TestStamp:
    @pytest.fixture
    def sources(self, tmp_path, monkeypatch) -> Path:
        for path in (ROOT / "envs").iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        monkeypatch.setattr(install, "HERE", tmp_path)
        return tmp_path

    def test_an_environment_without_stamp_is_not_ready(self, tmp_path, sources):
        assert not install.is_ready(tmp_path / "none")

    def test_a_stamped_environment_is_ready_until_a_pin_changes(self, tmp_path, sources):
        install.stamp(tmp_path).write_text(install.fingerprint(tmp_path))
        ready = install.is_ready(tmp_path)
        (sources / "pins.txt").write_text(
            (sources / "pins.txt").read_text().replace(install.read_pins()["numpy"], "9.9.9")
        )
        assert (ready, install.is_ready(tmp_path)) == (True, False)

    def test_a_moved_environment_is_not_ready(self, tmp_path, sources):
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        install.stamp(here).write_text(install.fingerprint(here))
        here.rename(there)
        assert not install.is_ready(there)

    def test_a_python_that_does_not_run_has_no_version(self, tmp_path):
        assert install.python_version(tmp_path / "python") is None
        assert install.python_version(Path(sys.executable)) == sys.version_info[:2]


class TestTarget:
    @pytest.mark.parametrize(
        "change", [{"torch": "2.13.0"}, {"python": "cp312"}, {"device": "cuda13.0"}, {"architectures": "9.0"}]
    )
    def test_another_torch_python_or_device_has_another_key(self, change):
        assert TARGET._replace(**change).key != TARGET.key

    def test_a_key_is_one_folders_name(self):
        key = TARGET._replace(device="cuda13.0", architectures="8.0;9.0").key
        assert key == "torch-2.13.0+cpu-cp311-linux-x86_64-cuda13.0-sm8.0_9.0"

    @pytest.mark.parametrize(
        ("cuda", "gpus", "nvcc", "environ", "expected"),
        [
            (None, [], "release 13.0", {}, ("cpu", "")),
            ("13.0", [], "release 13.0", {}, ("cpu", "")),
            ("13.0", ["9.0"], "release 13.0", {}, ("cuda13.0", "9.0")),
            ("13.0", ["8.0", "9.0"], "release 13.2", {}, ("cuda13.0", "8.0;9.0")),
            ("13.0", ["9.0"], "release 13.0", {"TORCH_CUDA_ARCH_LIST": "8.6"}, ("cuda13.0", "8.6")),
            (
                "13.0",
                [],
                "release 13.0",
                {"FORCE_CUDA": "1", "TORCH_CUDA_ARCH_LIST": "9.0"},
                ("cuda13.0", "9.0"),
            ),
        ],
    )
    def test_kernels_are_built_for_the_gpus_that_are_here_or_asked_for(
        self, cuda, gpus, nvcc, environ, expected
    ):
        assert machine.choose_device(cuda, gpus, nvcc, environ) == expected

    @pytest.mark.parametrize("nvcc", [None, "Cuda compilation tools, release 12.4, V12.4.131"])
    def test_a_gpu_without_its_compiler_is_warned_about(self, nvcc, capsys):
        assert machine.choose_device("13.0", ["9.0"], nvcc, {}) == ("cpu", "")
        assert "install the toolkit of CUDA 13.0" in capsys.readouterr().out

    def test_a_forced_cuda_build_without_gpu_must_say_for_which(self):
        with pytest.raises(progress.SetupError, match="TORCH_CUDA_ARCH_LIST"):
            machine.choose_device("13.0", [], "release 13.0", {"FORCE_CUDA": "1"})

    @pytest.mark.parametrize(
        ("n_cores", "gib", "expected"), [(2, 24, 2), (16, 24, 8), (16, 1, 1), (1, 64, 1)]
    )
    def test_as_many_compilers_run_as_cores_and_memory_allow(self, n_cores, gib, expected):
        assert machine.jobs(n_cores, gib) == expected

    def test_a_container_with_less_memory_than_its_host_is_heeded(self, tmp_path):
        (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable:   16777216 kB\n")
        (tmp_path / "max").write_text("4294967296\n")
        (tmp_path / "unlimited").write_text("max\n")
        files = [tmp_path / name for name in ("meminfo", "unlimited", "none")]
        assert machine.available_gib(files) == 16
        assert machine.available_gib([*files, tmp_path / "max"]) == 4


class TestOperators:
    @pytest.fixture
    def archive(self, tmp_path) -> Path:
        """Sources laid out as mmcv's: two front-end files, two CPU files that are joined and one not."""
        sources = tmp_path / "mmcv-1" / "mmcv" / "ops" / "csrc" / "pytorch"
        (sources / "cpu").mkdir(parents=True)
        (tmp_path / "mmcv-1" / "setup.py").write_text("")
        for name in ("nms.cpp", "info.cpp", "cpu/nms.cpp", "cpu/psamask.cpp", "cpu/bbox.cpp"):
            (sources / name).write_text(f"// {name}\n")
        with tarfile.open(tmp_path / "mmcv-1.tar.gz", "w:gz") as tar:
            tar.add(tmp_path / "mmcv-1", "mmcv-1")
        return tmp_path / "mmcv-1.tar.gz"

    def test_joined_sources_are_units_that_include_each_file_once(self, archive, tmp_path):
        root = (
            operators.unpack(archive, tmp_path / "joined", operators.join)
            / "mmcv"
            / "ops"
            / "csrc"
            / "pytorch"
        )
        assert {str(path.relative_to(root)) for path in [*root.glob("*.cpp"), *root.glob("cpu/*.cpp")]} == {
            "unit.cpp",
            "cpu/unit.cpp",
            "cpu/psamask.cpp",
        }
        assert (root / "unit.cpp").read_text() == '#include "parts/info.cpp"\n#include "parts/nms.cpp"\n'
        assert (
            root / "cpu" / "unit.cpp"
        ).read_text() == '#include "parts/bbox.cpp"\n#include "parts/nms.cpp"\n'

    def test_the_stock_sources_are_built_when_the_joined_ones_fail(
        self, archive, tmp_path, monkeypatch, capsys
    ):
        tried = []

        def download(title, command, log, **options):
            (tmp_path / "sdist").mkdir()
            archive.rename(tmp_path / "sdist" / archive.name)

        def attempt(python, root, target, log, env):
            tried.append(root.relative_to(tmp_path).parts[0])
            if tried == ["joined"]:
                raise progress.SetupError("it does not compile")
            return root / "made.whl"

        monkeypatch.setattr(operators, "run", download)
        monkeypatch.setattr(operators, "attempt", attempt)
        made = operators.build(Path("python"), "mmcv==1", TARGET, tmp_path, tmp_path / "log")
        assert (tried, made.name) == (["joined", "stock"], "made.whl")
        assert "it does not compile\nBuilding mmcv's files one by one" in capsys.readouterr().out

    def test_a_wheel_that_does_not_import_is_not_taken_from_the_cache(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(operators, "describe", lambda python: TARGET)
        monkeypatch.setattr(operators, "preflight", lambda target: None)
        folder = operators.cache() / f"mmcv-1-{TARGET.key}"
        folder.mkdir(parents=True)
        (folder / "mmcv-1.whl").write_bytes(b"half a wheel")

        def build(python, requirement, target, scratch, log):
            (scratch / "mmcv-1.whl").write_bytes(b"a new wheel")
            return scratch / "mmcv-1.whl"

        monkeypatch.setattr(operators, "build", build)
        kept = operators.wheel(Path(sys.executable), "mmcv", "1", tmp_path / "log")
        assert (kept.parent, kept.read_bytes()) == (folder, b"a new wheel")
        assert [path.name for path in folder.iterdir()] == ["mmcv-1.whl"]
        assert "built anew" in capsys.readouterr().out

    def test_a_wheel_without_compiled_operators_does_not_work(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "mmcv.whl", "w") as wheel:
            wheel.writestr("mmcv/__init__.py", "")
            wheel.writestr("mmcv/ops.py", "from mmcv._ext import nms")
        assert not operators.works(Path(sys.executable), tmp_path / "mmcv.whl")

    def test_the_build_is_optimised_whatever_flags_the_user_has_set(self, monkeypatch):
        monkeypatch.setenv("CFLAGS", "-march=native")
        env = operators.environment(Path("/venv/bin/python"), TARGET)
        assert env["CFLAGS"] == "-O2 -g0 -DNDEBUG -fwrapv -march=native"
        assert env["PATH"].startswith("/venv/bin:")
        assert (env["FORCE_CUDA"], env["CUDA_VISIBLE_DEVICES"]) == ("0", "")

    def test_a_cuda_build_sees_the_headers_that_pip_brought(self, tmp_path, monkeypatch):
        monkeypatch.delenv("CPATH", raising=False)
        headers = tmp_path / "nvidia" / "cu13" / "include"
        headers.mkdir(parents=True)
        target = TARGET._replace(device="cuda13.0", architectures="9.0", packages=tmp_path)
        env = operators.environment(Path("/venv/bin/python"), target)
        assert (env["FORCE_CUDA"], env["TORCH_CUDA_ARCH_LIST"], env["CPATH"]) == ("1", "9.0", str(headers))

    def test_progress_is_read_from_ninjas_last_line(self):
        assert operators.compiled("building\n  [1/6] c++ a\n  [2/6] c++ b\n") == "2 of 6 files compiled"
        assert operators.compiled("Collecting torch\n") == ""


class TestPreflight:
    def test_a_missing_compiler_is_named_with_how_to_get_one(self, monkeypatch):
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(progress.SetupError, match=r"\(no-such-compiler\).*apt install g\+\+"):
            machine.preflight(TARGET)

    def test_missing_python_headers_are_named_with_how_to_get_them(self, tmp_path, monkeypatch):
        monkeypatch.setenv("CXX", sys.executable)
        with pytest.raises(progress.SetupError, match=f"{tmp_path}.*python3-dev"):
            machine.preflight(TARGET._replace(headers=tmp_path))

    def test_a_full_disk_is_named_with_its_folder(self, tmp_path):
        with pytest.raises(
            progress.SetupError, match=f"{tmp_path} has .* GiB free, 1e\\+09 are needed to build: free"
        ):
            machine.need_room(tmp_path, 1e9, "build", "move")


class TestProgress:
    @staticmethod
    def script(text: str) -> list[str]:
        return [sys.executable, "-c", text]

    def test_a_command_says_how_far_it_is_and_how_long_it_took(self, tmp_path, capsys):
        text = "import time; print('step 3', flush=True); time.sleep(0.9)"
        progress.run("work", self.script(text), tmp_path / "log", tell=str.strip, every=0.5)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "work …"
        assert "  work: 1 s step 3" in lines
        assert re.fullmatch(r"work: done in \d+ s \(\d+ s of CPU\)", lines[-1])

    def test_a_failure_shows_the_end_of_its_own_output_and_where_the_rest_is(self, tmp_path):
        log = tmp_path / "log"
        log.write_text("No space left on device\n")  # of an earlier command
        with pytest.raises(progress.SetupError, match=f"status 3; all of its output: {log}.*\nlast words"):
            progress.run("work", self.script("print('last words'); raise SystemExit(3)"), log)

    def test_the_errors_in_a_long_output_are_shown_rather_than_what_came_after_them(self, tmp_path):
        output = "a.cpp:1:2: error: no such thing\n" + "  in this place\n" * 99
        assert progress.failure("work", 1, output, tmp_path / "log").endswith(
            "lines:\na.cpp:1:2: error: no such thing"
        )

    @pytest.mark.parametrize(
        ("output", "remedy"),
        [
            ("OSError: [Errno 28] No space left on device", "the disk is full"),
            ("g++: fatal error: Killed signal terminated program cc1plus", "set MAX_JOBS=1"),
            ("NewConnectionError('… Failed to establish a new connection')", "reached no package index"),
            (
                "ERROR: No matching distribution found for torch==2.13.0",
                r"has no torch==2\.13\.0 for this Python",
            ),
        ],
    )
    def test_a_known_failure_is_told_with_its_remedy(self, output, remedy, tmp_path):
        assert re.search(remedy, progress.failure("work", 1, output, tmp_path / "log"))

    def test_a_command_killed_from_outside_is_taken_to_have_used_up_the_memory(self, tmp_path):
        assert "MAX_JOBS=1" in progress.failure("work", -9, "", tmp_path / "log")


class TestMakefile:
    def test_help_lists_every_target(self):
        text = (ROOT / "Makefile").read_text()
        targets = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[1].split()
        shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert re.findall(r"^  make ([\w-]+)", shown, flags=re.MULTILINE) == targets

    def test_a_python_of_another_version_is_refused_in_a_sentence(self):
        asked = subprocess.run(["make", "PYTHON=false", "setup"], cwd=ROOT, capture_output=True, text=True)
        assert asked.returncode
        assert "Python 3.11 or 3.12 is needed, and none of these is one: false" in asked.stderr
