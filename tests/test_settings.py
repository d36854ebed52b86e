"""Settings in YAML come from anybody: read safely, and refused in one sentence with the file and the key."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from neuroseg import files, fusion, readers, segmentation, settings, tuning
from neuroseg.errors import DataError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    score: float = Field(0.5, ge=0)
    method: str = "wbf"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    fusion: Inner = Inner()
    types: dict[str, Inner] = {}
    members: dict[str, int] = {}


def read(path: Path, content: str | bytes):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return settings.read(path, Outer, "this file", "mend it")


def complaint(path: Path, content: str | bytes) -> str:
    with pytest.raises(DataError) as refused:
        read(path, content)
    (sentence,) = refused.value.sentences
    assert sentence.startswith(f"{path}: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


LAUGHS = "members:\n" + "\n".join(
    [" a0: &a0 {x: 1}"] + [f" a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)

UNSAFE = {
    "a template": ("__use_yte__: true\nmembers: {a: 1}", "__use_yte__: templates run code"),
    "a template that is off": ("__use_yte__: false", "__use_yte__"),
    "a Python object": (
        "members: !!python/object/apply:os.system [touch RAN]",
        "line 1, column 10: could not determine",
    ),
    "a Python name": ("members: !!python/name:os.system", "could not determine a constructor"),
    "aliases that multiply": (LAUGHS, "line 2: its aliases or its nesting make it larger"),
    "an alias within itself": ("members: &a {b: *a}", "line 1: its aliases"),
    "merged aliases": (
        "members: &a {b: 1}\ntypes: {<<: [" + ", ".join(["*a"] * 60_000) + "]}",
        "its aliases",
    ),
    "a deep nest": ("members: " + "[" * 50_000, "it is nested too deeply"),
    "brackets": ("members: " + "[" * 60 + "]" * 60, "its aliases or its nesting"),
    "a huge file": ("# " + "x" * settings.SIZE, "it is larger than 1,000,000 bytes"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_would_run_code_or_fill_the_memory_is_refused(tmp_path, name):
    content, words = UNSAFE[name]
    assert words in complaint(tmp_path / "s.yaml", content.replace("RAN", str(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()


BROKEN = {
    "a key twice": ("members: {a: 1, b: 2, a: 3}", "line 1: the key a stands twice"),
    "a section twice": (
        "members: {a: 1}\nfusion: {}\nmembers: {b: 1}",
        "line 3: the key members stands twice",
    ),
    "a list": ("- members", "the file: this file must hold keys"),
    "a word": ("members", "the file: this file must hold keys"),
    "nothing": ("", "the file: this file must hold keys"),
    "two documents": ("members: {}\n---\nfusion: {}", "line 2, column 1: but found another document"),
    "a tab": ("members:\n\ta: 1", "line 2, column 1: found character '\\t' that cannot start any token"),
    "an open bracket": ("members: {a: 1", "line 1, column 15: expected"),
    "Latin-1": ("members: {ä: 1}".encode("latin-1"), "its byte 11 is not UTF-8"),
    "UTF-16": ("members: {a: 1}".encode("utf-16"), "its byte 1 is not UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00", "its byte 1 is not UTF-8"),
    "a control character": ("members: {a\x00: 1}", "special characters are not allowed"),
    "a list as a key": ("members: {[a]: 1}", "found unhashable key"),
    "no date": ("members: {a: 2020-13-45}", "month must be in 1..12"),
    "a wrong key": ("fusoin: {}", "fusoin: there is no such key here; the nearest is fusion"),
    "a wrong key within": (
        "fusion: {scor: 1}",
        "fusion.scor: there is no such key here; the nearest is score",
    ),
    "a wrong key of many": (
        "types: {cort: {methud: x}}",
        "types.cort.methud: there is no such key here; the nearest is method",
    ),
    "a strange key": ("fusion: {zzz: 1}", "fusion.zzz: there is no such key here; known are method, score"),
    "a wrong value": ("fusion: {score: -1}", "fusion.score: must be greater than or equal to 0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_named_in_one_sentence(tmp_path, name):
    content, words = BROKEN[name]
    assert words in complaint(tmp_path / "s.yaml", content)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, words in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=rf"this file cannot be read \({words}.*\); mend it\."):
            settings.read(path, Outer, "this file", "mend it")


def test_windows_marks_and_plain_aliases_are_read(tmp_path):
    assert read(tmp_path / "s.yaml", b"\xef\xbb\xbfmembers: {a: 1}\r\n").members == {"a": 1}
    shared = "types: {a: &a {score: 1}, b: *a, c: {<<: *a, method: nms}}"
    assert [each.score for each in read(tmp_path / "s.yaml", shared).types.values()] == [1, 1, 1]


def sentences(read, path: Path) -> tuple[str, ...]:
    """What a reader complains of, if it does; any other error than a DataError is raised."""
    try:
        read(path)
    except DataError as error:
        return error.sentences
    return ()


LEAVES = st.none() | st.booleans() | st.integers() | st.text()
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(TREES)
@examples(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_sentences(tmp_path, content):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert all(each.startswith(str(path)) for each in sentences(fusion.read_recipe, path))


@given(st.binary(max_size=60))
@examples(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    assert len(sentences(lambda path: settings.read_yaml(path, "this file", "mend it"), path)) <= 1


def test_the_names_of_alternatives_are_no_keys(tmp_path):
    (tmp_path / "s.yaml").write_text("{format: coco, root: ., annotations: [{annotations: a, imags: b}]}")
    with pytest.raises(DataError) as refused:
        readers.read_dataset(tmp_path / "s.yaml")
    assert {sentence.split(": ", 1)[1] for sentence in refused.value.sentences} >= {
        "annotations.0.images: is missing.",
        "annotations.0.imags: there is no such key here; the nearest is images.",
    }


@pytest.mark.parametrize(
    ("reader", "wrong"),
    [
        (
            readers.read_dataset,
            (
                "{format: folder, root: ., imagse: [a]}",
                "imagse: there is no such key here; the nearest is images",
            ),
        ),
        (
            fusion.read_recipe,
            (
                "{members: {a: 1}, fusion: {iuo: 1}}",
                "fusion.iuo: there is no such key here; the nearest is iou",
            ),
        ),
        (
            tuning.read_settings,
            (
                "{members: {a: 1}, thresholds: {maks: [0.5]}}",
                "thresholds.maks: there is no such key here; the nearest is mask",
            ),
        ),
        (
            segmentation.read_thresholds,
            (
                "{folds: {}, all: {cort: {min_aera: 1}}}",
                "all.cort.min_aera: there is no such key here; the nearest is min_area",
            ),
        ),
    ],
)
def test_every_reader_of_settings_is_safe_and_names_the_nearest_key(tmp_path, reader, wrong):
    path = tmp_path / "s.yaml"
    path.write_text(wrong[0])
    with pytest.raises(DataError, match=re.escape(wrong[1])):
        reader(path)
    for name in ("a template", "a Python object", "aliases that multiply"):
        content, words = UNSAFE[name]
        path.write_text(content)
        with pytest.raises(DataError, match=re.escape(words)):
            reader(path)


SEALED = files.sealed("# What was chosen.\nmembers: {a: 1, b: 2}\nfusion: {score: 0.25}\n")


def test_an_altered_file_is_refused_and_one_without_checksum_is_somebodys_own(tmp_path):
    assert read(tmp_path / "s.yaml", SEALED).fusion.score == 0.25
    altered = SEALED.replace("0.25", "0.35")
    assert "it was altered after a stage wrote it, as its checksum tells; mend it" in complaint(
        tmp_path / "s.yaml", altered
    )
    assert read(tmp_path / "s.yaml", altered.rpartition("#")[0]).fusion.score == 0.35


@pytest.mark.parametrize("byte", range(len(SEALED)))
def test_a_flipped_bit_in_a_text_is_refused_or_changes_nothing(tmp_path, byte):
    whole = read(tmp_path / "s.yaml", SEALED)
    path = tmp_path / "flipped.yaml"
    for bit in range(8):
        flipped = bytearray(SEALED.encode())
        flipped[byte] ^= 1 << bit
        complaints = sentences(lambda path, data=bytes(flipped): read(path, data), path)
        assert len(complaints) == 1 or read(path, bytes(flipped)) == whole


@pytest.mark.parametrize(
    ("written", "taken"),
    [("no", "a yes or no"), ("10", "a number"), ("1.5", "a number"), ("2024-05-01", "a date")],
)
def test_text_that_yaml_takes_for_something_else_is_to_be_quoted(tmp_path, written, taken):
    said = complaint(tmp_path / "a.yaml", f"fusion: {{method: {written}}}")
    assert said.endswith(f"fusion.method: must be text; put it in quotes, or YAML takes it for {taken}.")
    assert read(tmp_path / "a.yaml", f"fusion: {{method: '{written}'}}").fusion.method == written


@pytest.mark.parametrize(
    ("reader", "content", "key"),
    [
        (readers.read_dataset, "limits: {hollow_share: no}", "limits.hollow_share"),
        (readers.read_dataset, "pixel_size_um: yes", "pixel_size_um"),
        (fusion.read_recipe, "members: {a: yes}", "members.a"),
        (fusion.read_recipe, "members: {a: [1, yes]}", "members.a.1"),
        (fusion.read_recipe, "members: {a: 1}\nfusion: {iou: yes}", "fusion.iou"),
        (fusion.read_recipe, "members: {a: 1}\nfusion: {max_detections: yes}", "fusion.max_detections"),
        (tuning.read_settings, "thresholds: {min_images: yes}", "thresholds.min_images"),
        (tuning.read_settings, "thresholds: {mask: [yes]}", "thresholds.mask.0"),
    ],
)
def test_a_yes_or_no_is_no_number(tmp_path, reader, content, key):
    path = tmp_path / "a.yaml"
    start = "format: folder\nroot: .\n" if reader is readers.read_dataset else ""
    path.write_text(start + content)
    assert sentences(reader, path) == (f"{path}: {key}: must be a number, not a yes or no.",)


@pytest.mark.parametrize(
    ("reader", "content", "said"),
    [
        (readers.read_dataset, "root: .", "format: is missing."),
        (readers.read_dataset, "format: [a]\nroot: .", "format: must be one of 'kaggle', 'coco', 'folder',"),
        (readers.read_dataset, "format: folder", "root: is missing."),
        (readers.read_dataset, "format: folder\nroot: [a]", "root: must be the path of a folder, such as"),
        (readers.read_dataset, "format: folder\nroot: .\npolicies: 3", "policies: must be keys with values."),
        (
            readers.read_dataset,
            "format: labels\nroot: .\ntest_images: [a]",
            "test_images: there is no such key here; the nearest is images.",
        ),
        (fusion.read_recipe, "members: {a: 1}\nfusion: 3", "fusion: must be keys with values."),
        (
            fusion.read_recipe,
            "members: {a: 1}\nfusion: {one_type: 3.5}",
            "fusion.one_type: must be true or false.",
        ),
    ],
)
def test_wrong_kinds_are_told_in_a_users_words(tmp_path, reader, content, said):
    path = tmp_path / "a.yaml"
    path.write_text(content)
    (sentence,) = sentences(reader, path)
    assert sentence.startswith(f"{path}: {said}")
