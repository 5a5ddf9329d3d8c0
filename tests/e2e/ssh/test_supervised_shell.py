"""What a supervised command finds around it: the same as a plain one, and nothing of the supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.engine.executor import Ended
from core.model.ids import new_run_id
from tests.e2e.ssh.lab import Lab, laboratory
from tests.support.hosts import Host


@pytest.fixture
async def both(host: Host, shell: str) -> AsyncIterator[tuple[Lab, Lab]]:
    """The same server, plain and supervised."""
    settings = replace(host.settings, shell=shell)
    async with (
        laboratory(host.server, settings) as plain,
        laboratory(host.server, settings, run_id=new_run_id()) as supervised,
    ):
        yield plain, supervised


@pytest.mark.parametrize(
    "text",
    [
        "umask",
        "pwd",
        "echo $# $-",
        "set | grep '^wl_'",
        "env | grep -v -e '^SSH_C' -e '^SHLVL' | sort",
        "echo ${LC_ALL-unset} ${LANG-unset}",
        "for f in 3 4 5 6 7 8 9; do (: <&$f) 2>/dev/null && echo open $f; done",
        "trap; ulimit -a",
        "alias; type wl_run 2>&1 | tail -c 11",
        "f=$(mktemp); stat -c %a $f; : >>$f.x; stat -c %a $f.x; rm $f $f.x",
        "read -r line; echo $?",
        "grep -E 'Sig(Blk|Cgt)' /proc/self/status",
    ],
)
async def test_a_command_finds_what_it_would_find_without_a_supervisor(
    both: tuple[Lab, Lab], text: str
) -> None:
    plain, supervised = both
    (wanted, there), (answer, here) = await plain.run(text), await supervised.run(text)
    assert answer == wanted
    assert (here.out, here.err) == (there.out, there.err)


async def test_the_shell_s_own_name_is_told(both: tuple[Lab, Lab], shell: str) -> None:
    answer, recorder = await both[1].run('echo "$0"; nonsense-of-a-command')
    assert answer == Ended(127)
    assert recorder.out.decode() == f"{shell}\n"
    assert recorder.err.decode().startswith(f"{shell}: ")


async def test_at_most_interrupt_and_quit_are_ignored_as_in_every_background(both: tuple[Lab, Lab]) -> None:
    ignored = []
    for lab in both:
        _, recorder = await lab.run("grep SigIgn /proc/self/status")
        ignored.append(int(recorder.out.split()[1], 16))
    # Whoever started these tests may have ignored signals of their own.
    assert ignored[1] & ~(ignored[0] | 0b110) == 0


async def test_a_pipe_that_breaks_ends_its_writer(both: tuple[Lab, Lab]) -> None:
    """The session catches the signal; a command must not inherit that it is ignored."""
    _, recorder = await both[1].run("(yes; echo $? >&2) | head -n 1; sh -c 'kill -PIPE $$'; echo $?")
    assert recorder.out == b"y\n141\n"


async def test_no_ended_command_stays_in_the_process_table(both: tuple[Lab, Lab]) -> None:
    lab = both[1]
    for _ in range(20):
        assert (await lab.run("true"))[0] == Ended(0)
    _, recorder = await lab.run(
        # The session is the parent of the watcher, which is ours.
        "read -r line </proc/$PPID/stat; set -- ${line##*) }; session=$2; n=0; "
        "for f in /proc/[0-9]*/stat; do { read -r line <$f; } 2>/dev/null || continue; set -- ${line##*) }; "
        '[ "$2" = $session ] && [ "$1" = Z ] && n=$((n+1)); done; echo $n'
    )
    assert int(recorder.out) <= 3
