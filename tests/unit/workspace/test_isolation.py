"""Nothing that a workspace names is read from outside of it, unless the workspace says so by folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.engine.api import PlanRequest
from core.engine.blobs import Blobs
from core.errors import InputError
from core.workspace.inside import OutsideError, open_inside
from tests.support.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    (made.path / "files").mkdir()
    (made.path / "files" / "own").write_text("own")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "theirs").write_text("theirs {{ server.name }}")
    (tmp_path / "shared-not").mkdir()
    (tmp_path / "shared-not" / "secret").write_text("secret")
    (made.path / "files" / "link").symlink_to(tmp_path / "shared" / "theirs")
    (made.path / "files" / "folder").symlink_to(tmp_path / "shared")
    (made.path / "files" / "circle").symlink_to("circle")
    (made.path / "files" / "inner").symlink_to("own")
    os.mkfifo(made.path / "files" / "pipe")
    return made


async def faults(lab: Lab, source: str, extra: str = "") -> list[str]:
    lab.batch(f'steps: {{one: {{upload: {{from: "{source}", to: x{extra}}}}}}}')
    async with lab.engine() as engine:
        try:
            await engine.plan(PlanRequest("work"))
        except InputError as error:
            return [fault.message for fault in error.faults] or [error.message]
    return []


@pytest.mark.parametrize("extra", ["", ", template: true"])
@pytest.mark.parametrize(
    "source",
    [
        "../shared/theirs",
        "files/../../shared/theirs",
        "files/link",
        "files/folder/theirs",
        "/etc/passwd",
        "{{ '..' }}/shared/theirs",
        "files/circle",
    ],
)
async def test_an_upload_that_leads_out(lab: Lab, source: str, extra: str) -> None:
    (told,) = await faults(lab, source, extra)
    assert "leads out of the workspace" in told or "cannot be read" in told


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("files/pipe", "no regular file"),
        ("files", "no regular file"),
        ("files/none", "no file"),
        ("files/own/x", "no file"),
    ],
)
async def test_what_is_no_file(lab: Lab, source: str, told: str) -> None:
    assert told in (await faults(lab, source))[0]


async def test_what_lies_inside(lab: Lab) -> None:
    for source in ("files/own", "files/inner", "./files/../files/own", str(lab.path / "files" / "own")):
        assert await faults(lab, source) == []


async def test_allowed_folders_and_nothing_beside_them(lab: Lab, tmp_path: Path) -> None:
    (lab.path / "workspace.yaml").write_text("name: lab\nallow_paths: [../shared]\n")
    for source in (
        "../shared/theirs",
        "files/link",
        "files/folder/theirs",
        str(tmp_path / "shared" / "theirs"),
    ):
        assert await faults(lab, source) == []
        assert await faults(lab, source, ", template: true") == []
    for source in ("../shared-not/secret", "../shared/../shared-not/secret", "/etc/passwd"):
        assert "leads out" in (await faults(lab, source))[0]
    async with lab.engine() as engine:
        lab.batch("steps: {one: {upload: {from: ../shared/theirs, to: x}}}")
        await lab.run(engine, "work")
    assert [path.read_text() for path in (lab.path / ".windlass" / "blobs").iterdir()] == [
        "theirs {{ server.name }}"
    ]


def test_a_link_that_is_swapped_in_after_the_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ws" / "files").mkdir(parents=True)
    (tmp_path / "ws" / "files" / "a").write_text("own")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("secret")
    resolve = Path.resolve

    def swapped(path: Path, strict: bool = False) -> Path:
        found = resolve(path, strict)
        if path.name == "a" and not (tmp_path / "ws" / "files").is_symlink():
            (tmp_path / "ws" / "files").rename(tmp_path / "ws" / "before")
            (tmp_path / "ws" / "files").symlink_to(tmp_path / "out")
        return found

    monkeypatch.setattr(Path, "resolve", swapped)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_inside(tmp_path / "ws" / "files" / "a", (tmp_path / "ws",))
    with pytest.raises(OutsideError):  # and by now it is seen at once
        Blobs(tmp_path / "blobs", tmp_path / "ws").keep("files/a")


async def test_batches_and_servers_that_are_links_out(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "batch.yaml").write_text("steps: {one: {run: 'password: hunter2'}}")
    (lab.path / "batches" / "linked.yaml").symlink_to(tmp_path / "batch.yaml")
    async with lab.engine() as engine:
        (found,) = await engine.batches()
        assert found.steps == 0 and "out of the workspace" in found.faults[0].message
        with pytest.raises(InputError, match="out of the workspace"):
            await engine.plan(PlanRequest("linked"))
        (tmp_path / "more.yaml").write_text("provider: static\nservers: {c: 127.0.0.1}\n")
        (lab.path / "servers" / "more.yaml").symlink_to(tmp_path / "more.yaml")
        with pytest.raises(InputError) as caught:
            await engine.servers(refresh=True)
        assert "leads out of the workspace" in caught.value.faults[0].message


async def test_a_state_folder_that_leads_out_is_refused(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (lab.path / ".windlass").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        async with lab.engine():
            pass
    assert list((tmp_path / "elsewhere").iterdir()) == []
