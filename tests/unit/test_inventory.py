"""The inventory: files, providers, faults of all of them, and who is asked to start what."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import core.inventory
from core.errors import InputError, ProviderError
from core.inventory import Inventory, Source
from providers.base import Server, ServerState, SshTarget

BOMB = "provider: static\na0: &a0 [x, x]\n" + "".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 4)}]\n" for number in range(1, 20)
)


def _write(workspace: Path, **files: str) -> Path:
    (workspace / "servers").mkdir(exist_ok=True)
    for name, text in files.items():
        (workspace / "servers" / f"{name}.yaml").write_text(text)
    return workspace


async def _load(workspace: Path) -> Inventory:
    return await Inventory.load(workspace, workspace / ".windlass")


async def _faults(workspace: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        await _load(workspace)
    return [str(fault) for fault in caught.value.faults]


# ---------------------------------------------------------------- reading


async def test_servers_come_in_the_order_of_files_and_documents(tmp_path: Path) -> None:
    _write(
        tmp_path,
        b="provider: static\nservers: {z: 10.0.0.1, a: 10.0.0.2}\n",
        a="provider: local\nservers: {'web-[1-2]': {groups: [web]}}\n",
    )
    inventory = await _load(tmp_path)
    assert [(server.name, server.provider) for server in inventory.servers] == [
        ("web-1", "local"),
        ("web-2", "local"),
        ("z", "static"),
        ("a", "static"),
    ]
    assert [server.source for server in inventory.servers][::2] == ["servers/a.yaml:2", "servers/b.yaml:2"]
    await inventory.close()


async def test_a_workspace_without_servers_is_empty(tmp_path: Path) -> None:
    assert (await _load(tmp_path)).servers == ()
    _write(tmp_path, empty="provider: static\n")
    assert (await _load(tmp_path)).servers == ()


async def test_loading_writes_nothing(tmp_path: Path) -> None:
    _write(tmp_path, a="provider: local\nservers: {web-1: }\n")
    await _load(tmp_path)
    assert not (tmp_path / ".windlass").exists()


async def test_other_files_are_left_alone(tmp_path: Path) -> None:
    _write(tmp_path, a="provider: static\nservers: {a: 10.0.0.1}\n")
    (tmp_path / "servers" / "README.md").write_text("{")
    (tmp_path / "servers" / ".hidden.yaml").write_text("{")
    (tmp_path / "servers" / "b.yml").write_text("provider: static\nservers: {b: 10.0.0.2}\n")
    assert [server.name for server in (await _load(tmp_path)).servers] == ["a", "b"]


async def test_a_file_that_did_not_change_is_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, a="provider: static\nservers: {a: 10.0.0.1}\n", b="provider: static\n")
    for name in ("a", "b"):
        _age(tmp_path / "servers" / f"{name}.yaml")
    monkeypatch.setattr("core.inventory.SETTLED_NS", 0)  # ctime can't be set
    first = await _load(tmp_path)
    parsed: list[str] = []
    read = core.inventory.read_settings_file
    monkeypatch.setattr(
        "core.inventory.read_settings_file",
        lambda workspace, file: parsed.append(file.name) or read(workspace, file),
    )
    again = await Inventory.load(tmp_path, tmp_path / ".windlass", first)
    assert not parsed and [server.name for server in again.servers] == ["a"]
    (tmp_path / "servers" / "b.yaml").write_text("provider: static\nservers: {b: 10.0.0.2}\n")
    changed = await Inventory.load(tmp_path, tmp_path / ".windlass", again)
    assert parsed == ["b.yaml"] and [server.name for server in changed.servers] == ["a", "b"]


async def test_a_file_of_this_moment_is_read_again(tmp_path: Path) -> None:
    """The same size within the grain of the file's time: only reading tells."""
    _write(tmp_path, a="provider: static\nservers: {a: 10.0.0.1}\n")
    first = await _load(tmp_path)
    before = (tmp_path / "servers" / "a.yaml").stat()
    with (tmp_path / "servers" / "a.yaml").open("r+") as file:
        file.write("provider: static\nservers: {b: 10.0.0.1}\n")
    os.utime(tmp_path / "servers" / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    again = await Inventory.load(tmp_path, tmp_path / ".windlass", first)
    assert [server.name for server in again.servers] == ["b"]


def _age(file: Path) -> None:
    os.utime(file, (1_700_000_000, 1_700_000_000))


# ---------------------------------------------------------------- faults


async def test_faults_of_all_files_are_told_together(tmp_path: Path) -> None:
    _write(
        tmp_path,
        a="provider: statik\n",
        b="servers: {}\n",
        c="provider: static\nservers: {a: {prot: 1}, b: {port: x}}\n",
        d="provider: static\nservers: {a: x}\n  b: y\n",
        e="- a\n",
        f="provider: [static]\n",
        g="provider: static\nservers: {fine: 10.0.0.1}\n",
    )
    faults = await _faults(tmp_path)
    assert (
        faults[0]
        == "servers/a.yaml:1:1: no provider is called 'statik'; did you mean 'static'? (there are: local, static)"
    )
    assert faults[1] == "servers/b.yaml:1:1: `provider` is missing (one of: local, static)"
    assert faults[2:4] == [
        "servers/c.yaml:2:15: unknown key 'prot'; did you mean 'port'?",
        "servers/c.yaml:2:29: port is a whole number, not text",
    ]
    assert [fault.split(":")[0] for fault in faults[4:]] == [
        "servers/d.yaml",
        "servers/e.yaml",
        "servers/f.yaml",
    ]
    assert faults[4].startswith("servers/d.yaml:3:")


async def test_names_used_twice_name_both_places(tmp_path: Path) -> None:
    _write(
        tmp_path,
        a="provider: local\nservers:\n  web-[1-2]:\n",
        b="provider: static\nservers:\n  web-2: 10.0.0.1\n  WEB-1: 10.0.0.2\n",
    )
    assert await _faults(tmp_path) == [
        "servers/b.yaml:3:1: the server 'web-2' is there already: servers/a.yaml:3",
        "servers/b.yaml:4:1: 'WEB-1' and 'web-1' (servers/a.yaml:3) differ in case only "
        "(rename one: on some file systems they are the same)",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("provider: static\nprovider: local\n", "provider"),
        ("provider: static\nservers: !!python/object:os.system {}\n", "tags are not allowed"),
        (BOMB, "expands to more than"),
        ("\tprovider: static\n", "not YAML"),
        ("provider: static\x00\n", "not YAML"),
        ("provider: static\nservers: &a [*a]\n", "is inside what it stands for"),
    ],
)
async def test_hostile_yaml_is_refused_with_a_place(tmp_path: Path, text: str, why: str) -> None:
    _write(tmp_path, a=text)
    faults = await _faults(tmp_path)
    assert faults
    assert all(fault.startswith("servers/a.yaml:") for fault in faults)
    assert why in faults[0]


async def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "servers" / "a.yaml").write_bytes(b"provider: \xff\xfe\n")
    assert (await _faults(tmp_path))[0].startswith("servers/a.yaml:")


async def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, a="# x\n" * 1_500_000)
    assert "larger than" in (await _faults(tmp_path))[0]


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path)
    os.mkfifo(tmp_path / "servers" / "pipe.yaml")
    (tmp_path / "servers" / "folder.yaml").mkdir()
    assert [fault.split(" ", 1)[1] for fault in await _faults(tmp_path)] == [
        "servers/folder.yaml cannot be read: Is a directory",
        "servers/pipe.yaml is not a regular file",
    ]


async def test_a_link_out_of_the_workspace_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("provider: static\nservers: {a: 10.0.0.1}\n")
    (tmp_path / "w").mkdir()
    workspace = _write(tmp_path / "w")
    (workspace / "servers" / "a.yaml").symlink_to(outside)
    assert "leads out of the workspace" in (await _faults(workspace))[0]


async def test_a_provider_that_cannot_answer_leaves_the_others_usable(tmp_path: Path) -> None:
    _write(
        tmp_path,
        a="provider: static\nssh_config: {file: gone, hosts: [x]}\n",
        b="provider: static\nservers: {b: 10.0.0.1}\n",
    )
    inventory = await _load(tmp_path)
    assert [server.name for server in inventory.servers] == ["b"]
    (note,) = inventory.notes
    assert note.startswith("servers/a.yaml: ")
    assert "gone: there is no such file" in note
    with pytest.raises(InputError, match="there is no server 'x'"):
        await inventory.start(["x"])


def test_only_the_named_provider_is_imported(tmp_path: Path) -> None:
    _write(tmp_path, a="provider: static\nservers: {a: 10.0.0.1}\n")
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from core.inventory import Inventory\n"
        "w = Path(sys.argv[1])\n"
        "asyncio.run(Inventory.load(w, w / '.windlass'))\n"
        "print(sorted(name for name in sys.modules if name.startswith('providers.local') or name == 'asyncssh'))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


# ---------------------------------------------------------------- starting and stopping


class Recorder:
    """A provider that notes what it is asked to do."""

    def __init__(
        self, name: str, servers: Sequence[str], *, starts_servers: bool = True, fails: str = ""
    ) -> None:
        self.name = name
        self.starts_servers = starts_servers
        self.fails = fails
        self.asked: list[tuple[str, list[str]]] = []
        self.names = list(servers)
        self.closed = 0

    async def list(self) -> Sequence[Server]:
        target = SshTarget("127.0.0.1")
        return [
            Server(name, self.name, target, state=ServerState.STOPPED, source="f:1") for name in self.names
        ]

    async def start(self, names: Sequence[str] = ()) -> Sequence[str]:
        return self._do("start", names)

    async def stop(self, names: Sequence[str] = ()) -> Sequence[str]:
        return self._do("stop", names)

    async def close(self) -> None:
        self.closed += 1

    def _do(self, verb: str, names: Sequence[str]) -> Sequence[str]:
        self.asked.append((verb, [*names]))
        if self.fails:
            raise ProviderError(self.fails, hint="a hint")
        return list(names) or self.names


async def _inventory(*providers: Recorder) -> Inventory:
    return Inventory(
        [Source(f"{provider.name}.yaml", provider, await provider.list()) for provider in providers]
    )


async def test_names_go_to_the_provider_that_has_them() -> None:
    one, two = Recorder("one", ["a", "b"]), Recorder("two", ["c"])
    inventory = await _inventory(one, two)
    assert await inventory.start(["c", "b", "b"]) == ["b", "c"]
    assert (one.asked, two.asked) == ([("start", ["b"])], [("start", ["c"])])
    assert await inventory.stop(["a"]) == ["a"]
    assert one.asked[1:] == [("stop", ["a"])]
    assert len(two.asked) == 1


async def test_without_names_those_that_can_are_asked() -> None:
    one, two = Recorder("one", ["a", "b"]), Recorder("two", ["c"], starts_servers=False)
    inventory = await _inventory(one, two)
    assert await inventory.start() == ["a", "b"]
    assert await inventory.stop() == ["a", "b"]
    assert one.asked == [("start", []), ("stop", [])]
    assert two.asked == []


async def test_where_none_can_it_is_told() -> None:
    inventory = await _inventory(Recorder("one", ["a"], starts_servers=False))
    with pytest.raises(ProviderError, match="no provider of this workspace can start servers"):
        await inventory.start()


async def test_a_failure_does_not_keep_the_others_from_being_asked() -> None:
    one, two = Recorder("one", ["a"], fails="out of order"), Recorder("two", ["b"])
    inventory = await _inventory(one, two)
    with pytest.raises(ProviderError, match="out of order"):
        await inventory.start()
    assert two.asked == [("start", [])]


async def test_unknown_names_are_all_told_and_nothing_is_started() -> None:
    one = Recorder("one", ["web-1"])
    inventory = await _inventory(one)
    with pytest.raises(InputError) as caught:
        await inventory.start(["web-l", "zzz", "web-1"])
    assert "there is no server 'web-l'; did you mean 'web-1'?" in str(caught.value)
    assert "there is no server 'zzz'" in str(caught.value)
    assert one.asked == []


async def test_closing_closes_every_provider() -> None:
    one, two = Recorder("one", ["a"]), Recorder("two", ["b"])
    await (await _inventory(one, two)).close()
    assert (one.closed, two.closed) == (1, 1)
