"""Settings of the SSH side, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How connections are made and used.

    known_hosts: the workspace's own known_hosts; None where there is none.
    connect_timeout_s: of one attempt, from the first packet to the end of the authentication;
        `ConnectTimeout` of ssh_config wins.
    parallel_connects: handshakes at once, over all servers.
    connect_attempts: how often a server that turns us away during the handshake is asked.
    retry_base_s, retry_max_s: the back-off between these attempts; each pause is a random part of it.
    keepalive_s, keepalive_count: a connection that does not answer this many questions in a row, asked
        after this many seconds of silence, is ended.
    parallel_channels: sessions at once on one connection; found out where a server allows fewer.
    channel_wait_s: how long a command waits for a free session before it is given back as not started.
    linger_s: how long output may stay silent after a command's exit while something holds it open.
    stop_poll_s: the longest pause between two looks at a process group that is being stopped.
    kill_wait_s: how long a killed process group may take to disappear.
    hello_wait_s: how long a server may take to show that it has a POSIX shell.
    answer_wait_s: how long a supervisor may take to answer a request before its session is given up.
    output_bound_bytes: how large an output file of a command may grow on its server.
    look_first_s, look_most_s: the pauses between two looks at a command that runs, while it prints and when
        it is silent.
    record_bases: folders on a server in which records may be kept, in order, as shell words.
    foreign_programs: whether a `ProxyCommand` is run that a workspace named, and not its user.
    supervise: whether commands are supervised where their server can.
    shell: the shell that evaluates commands on servers.
    """

    known_hosts: Path | None = None
    connect_timeout_s: float = 15.0
    parallel_connects: int = 20
    connect_attempts: int = 6
    retry_base_s: float = 0.25
    retry_max_s: float = 5.0
    keepalive_s: float = 15.0
    keepalive_count: int = 3
    parallel_channels: int = 10
    channel_wait_s: float = 600.0
    linger_s: float = 3.0
    stop_poll_s: float = 0.5
    kill_wait_s: float = 5.0
    hello_wait_s: float = 15.0
    answer_wait_s: float = 60.0
    output_bound_bytes: int = 64 * 1024 * 1024
    look_first_s: float = 0.1
    look_most_s: float = 0.5
    record_bases: tuple[str, ...] = (
        '"${HOME:+$HOME/.cache/windlass}"',
        '"/var/tmp/windlass-$(id -u)"',
        '"/tmp/windlass-$(id -u)"',
    )
    foreign_programs: bool = True
    supervise: bool = True
    shell: str = "/bin/sh"
