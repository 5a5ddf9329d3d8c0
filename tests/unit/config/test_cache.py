"""Parsed files kept for the next process: the same values and places, and nothing that somebody else wrote."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from core.config import cache, sources
from core.config.load import Config
from core.config.tree import Entry, Layer, walk
from core.workspace.userfiles import user_folder
from tests.unit.config.support import Files

TEXT = (
    "".join(f"key{number}: value number {number} of many\n" for number in range(600))
    + "a: &a {x: 1, y: [1.5, true, null, 'z', {}, []]}\nb: *a\nc: {<<: *a, x: 2}\n"
    + 'd: |\n  {{ config.a.x }}\n  two\n"Ключ": \'ü\'\nurl: "{{ config.key1 }}"\n'
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def fresh(files: Files, environment: str = "") -> Config:
    """The configuration as another process reads it."""
    sources.text_layer.cache_clear()
    return files.load(environment)


def kept(files: Files) -> list[Path]:
    folder = files.path / ".windlass" / "cache" / "config"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def forbid_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> Entry:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(sources, "_parsed_layer", refuse)


def test_the_same_values_at_the_same_places(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.base(TEXT)
    cold = fresh(files)
    (file,) = kept(files)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    forbid_parsing(monkeypatch)
    warm = fresh(files)
    assert warm.root == cold.root
    assert list(walk(warm.root)) == list(walk(cold.root))
    assert warm.find(("d",)) is not None and warm.find(("d",)).block
    assert warm.find(("b", "y", 0)).origin.layer is Layer.WORKSPACE


def test_a_changed_file_is_read_anew_and_old_ones_go(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 3)
    for number in range(5):
        assert fresh(files.base(f"{TEXT}new: {number}\n")).find(("new",)).value == number
    assert len(kept(files)) == 3


def test_one_text_in_two_layers(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.base(TEXT)
    fresh(files)
    files.environment("prod", TEXT)
    forbid_parsing(monkeypatch)
    entry = fresh(files, "prod").find(("key1",))
    assert str(entry.origin) == "config/environments/prod.yaml:2:7"


def test_short_texts_and_faulty_ones_are_not_kept(files: Files) -> None:
    fresh(files.base("a: 1\n"))
    with pytest.raises(Exception, match="fault"):
        fresh(files.base(TEXT + "key1: twice\n"))
    assert kept(files) == [] and not (files.path / ".windlass").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-10]),
        lambda file: file.write_bytes(file.read_bytes().replace(b"value number 1 ", b"value number 9 ")),
        lambda file: file.write_bytes(os.urandom(5000)),
        lambda file: file.chmod(0o644),
        lambda file: (file.rename(file.parent / "other"), file.symlink_to("other")),
        lambda file: (file.unlink(), file.mkdir(mode=0o700)),
        lambda file: (file.unlink(), os.mkfifo(file, 0o600)),
        lambda file: (user_folder() / cache.KEY_FILE).write_bytes(os.urandom(32)),
        lambda file: (user_folder() / cache.KEY_FILE).write_bytes(b"short"),
        lambda file: (user_folder() / cache.KEY_FILE).unlink(),
        lambda file: (user_folder() / cache.KEY_FILE).chmod(0o644),
        lambda file: (shutil.rmtree(file.parent), file.parent.write_text("x")),
        lambda file: (shutil.rmtree(file.parent), file.parent.symlink_to("/")),
    ],
)
def test_damaged_and_foreign_files_are_ignored(files: Files, spoil) -> None:
    cold = fresh(files.base(TEXT))
    (file,) = kept(files)
    spoil(file)
    assert fresh(files).root == cold.root
    assert fresh(files).root == cold.root


def test_what_another_user_signed_does_not_count(files: Files, monkeypatch, tmp_path: Path) -> None:
    """A workspace may come with a cache that says something else than its files."""
    files.base(TEXT)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "theirs"))
    fresh(files)
    (file,) = kept(files)
    forged = fresh(files.base(TEXT.replace("value number 1 ", "evil")))
    cache.remember(files.path, TEXT, forged.layers[-1])
    assert b"evil" in file.read_bytes()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert fresh(files.base(TEXT)).find(("key1",)).value == "value number 1 of many"


def test_a_cache_that_cannot_be_written_is_no_fault(files: Files) -> None:
    (files.path / ".windlass").write_text("in the way")
    assert fresh(files.base(TEXT)).find(("key1",)) is not None


def test_many_values_warm_within_the_bounds(files: Files) -> None:
    """A generous bound on this machine's CPU time; the figures are the benchmark's."""
    lines = []
    for section in range(100):
        lines.append(f"section{section}:\n")
        for key in range(50):
            lines.append(f"  key{key}: value {section} {key}\n")
            lines.append(f"  ref{key}: '{{{{ config.section{section}.key{key} }}}}/x'\n")
    files.base("".join(lines))
    fresh(files)
    sources.text_layer.cache_clear()
    begun = time.process_time()
    values = files.resolver().value()
    assert time.process_time() - begun < 3
    assert values["section99"]["ref49"] == "value 99 49/x"
