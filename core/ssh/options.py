"""How a server is reached: what its provider says of it together with ssh_config, resolved without connecting.

Rules. Values of `SshTarget` win over the configuration. `HostName` of the configuration applies where the
server's address is the name that is looked up; an address beside an alias stands. `ProxyJump` hops are
looked up in the same configuration. Nothing is asked of a person: passwords are never prompted for, and
agent forwarding is off unless `ForwardAgent` asks for it. A configuration with a line that OpenSSH would
refuse is not connected by: `Resolved.faults` says which.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import Fault
from core.ssh.ignored import ignored_settings
from core.ssh.sshconfig import Effective, Setting, config_paths, effective, local_user
from providers.base import Server, SshTarget

DEFAULT_PORT = 22
MAX_JUMPS = 8

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_HOP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:@\s]+)(?::(?P<port>\d+))?/?")
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What is offered in the handshake, in order of preference."""

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]
    compression: bool = False


@functools.cache
def usual_algorithms() -> Algorithms:
    """What is offered where ssh_config says nothing of it."""
    from core.ssh import algorithms

    return Algorithms(
        kex=algorithms.choose_kex(None),
        ciphers=algorithms.choose_ciphers(None),
        macs=algorithms.choose_macs(None),
        host_keys=algorithms.choose_host_keys(None),
    )


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where, as whom and how a server is connected to.

    `address`, `port` and `user` are what `ssh` would use; `proxy_jump` are the hops in order, as written;
    `ignored` are sentences with file:line about what is not honoured, `faults` lines that cannot be
    followed (they are in `ignored` too). `chosen_keys` is True where identity files were configured,
    False where they are the usual ones in ~/.ssh. `own_algorithms` is None where ssh_config names none.
    `agent` is the socket of the agent, "" for none; `forward_agent` the socket to forward, "" for none.
    """

    name: str
    address: str
    port: int
    user: str
    proxy_jump: tuple[str, ...]
    identity_files: tuple[Path, ...]
    ignored: tuple[str, ...]
    faults: tuple[Fault, ...]
    target: SshTarget
    lookup: str
    chosen_keys: bool
    certificate_files: tuple[Path, ...]
    identities_only: bool
    public_key_auth: bool
    agent: str
    forward_agent: str
    forward_agent_place: str
    proxy_command: str
    host_key_alias: str
    known_hosts_files: tuple[Path, ...]
    global_known_hosts_files: tuple[Path, ...]
    own_algorithms: Algorithms | None
    family: int
    bind_address: str
    tcp_keepalive: bool
    connect_timeout_s: float | None
    keepalive_s: float | None
    keepalive_count: int | None
    set_env: Mapping[str, str]
    proxy_command_file: str = ""
    proxy_command_place: str = ""

    @property
    def known_as(self) -> str:
        """The name under which its host key is looked up: the alias, the address, or [address]:port."""
        if self.host_key_alias:
            return self.host_key_alias.lower()
        name = self.address.lower()
        return name if self.port == DEFAULT_PORT else f"[{name}]:{self.port}"

    @property
    def algorithms(self) -> Algorithms:
        """What is offered. Asking loads asyncssh (0.2 s, 25 MiB), which nobody needs who only lists servers."""
        return self.own_algorithms or usual_algorithms()

    @property
    def at(self) -> str:
        """ "user@address:port", for people."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.user}@{host}:{self.port}"


def resolve(server: Server) -> Resolved:
    """How `server` would be connected to. Never raises for bad configuration: see `Resolved.faults`."""
    return resolve_target(server.name, server.ssh)


def ignored_options(server: Server) -> list[str]:
    """Sentences with file:line for every option that matters and is not honoured, and every bad line."""
    return list(resolve(server).ignored)


def resolve_target(name: str, target: SshTarget) -> Resolved:
    """As `resolve`, for a target without a server: a jump host."""
    lookup = target.ssh_alias or target.address
    found = effective(config_paths(target.ssh_config, target.use_ssh_config), lookup, target.user)
    return _Resolver(name, target, lookup, found).resolve()


def route(resolved: Resolved) -> list[Resolved]:
    """Every jump host on the way, the nearest first.

    The first hop of a list may have jump hosts of its own in ssh_config; of the others the list is the
    way. Raises ValueError where there are more than MAX_JUMPS: jump hosts that lead to each other.
    """
    way: list[Resolved] = []
    _extend(way, resolved, 0)
    return way


def _extend(way: list[Resolved], resolved: Resolved, depth: int) -> None:
    for position, text in enumerate(resolved.proxy_jump):
        if depth >= MAX_JUMPS or len(way) >= MAX_JUMPS:
            raise ValueError(f"more than {MAX_JUMPS} jump hosts on the way")
        match = _HOP.fullmatch(text)
        if match is None:
            raise ValueError(f"ProxyJump {text!r} is not [user@]host[:port]")
        target = SshTarget(
            address=match["host"].strip("[]"),
            port=int(match["port"]) if match["port"] else None,
            user=match["user"],
            ssh_config=resolved.target.ssh_config,
            use_ssh_config=resolved.target.use_ssh_config,
        )
        hop = resolve_target(target.address, target)
        if position:
            hop = replace(hop, proxy_jump=(), proxy_command="")
        else:
            _extend(way, hop, depth + 1)
        way.append(hop)


def _usual(*paths: str) -> tuple[Path, ...]:
    """Paths that stand for every server alike, made once for each home folder."""
    return _made(paths, os.environ.get("HOME"))


@functools.lru_cache(maxsize=64)
def _made(paths: tuple[str, ...], home: str | None) -> tuple[Path, ...]:
    return tuple(Path(path).expanduser() for path in paths)


def _expanded(path: Path) -> Path:
    return path if path.is_absolute() else path.expanduser()


class _Resolver:
    """Turns what applies to a host into values; every value that cannot be read becomes a fault."""

    def __init__(self, name: str, target: SshTarget, lookup: str, found: Effective) -> None:
        self._name, self._target, self._lookup, self._found = name, target, lookup, found
        self._faults = list(found.faults)
        self._tokens = {"%": "%", "h": lookup, "n": lookup}
        self._reached_as: tuple[str, int, str] | None = None
        """Address, port and user once they are known; the tokens that need them are made when one is met."""

    def resolve(self) -> Resolved:
        target, found = self._target, self._found
        address = target.address
        if self._lookup == target.address:
            address = self._text("hostname", target.address)
        port = target.port or self._number("port", DEFAULT_PORT, 1, 65535)
        user = target.user or self._text("user", local_user())
        self._reached_as = (address, port, user)
        agent = self._agent()
        forward = self._forward_agent(agent)
        files, chosen = self._identity_files()
        return Resolved(
            name=self._name,
            address=address,
            port=port,
            user=user,
            proxy_jump=self._jumps(address, port, user),
            identity_files=files,
            target=target,
            lookup=self._lookup,
            chosen_keys=chosen,
            certificate_files=self._paths("certificatefile"),
            identities_only=found.flag("identitiesonly"),
            public_key_auth=(found.value("pubkeyauthentication") or "yes").lower() not in ("no", "false"),
            agent=agent,
            forward_agent=forward,
            forward_agent_place=self._place("forwardagent") if forward else "",
            proxy_command=self._proxy_command(address, user),
            host_key_alias=self._text("hostkeyalias", ""),
            known_hosts_files=self._known_hosts(
                "userknownhostsfile", ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
            ),
            global_known_hosts_files=self._known_hosts(
                "globalknownhostsfile", ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
            ),
            own_algorithms=self._algorithms(),
            family=self._family(),
            bind_address=self._text("bindaddress", ""),
            tcp_keepalive=found.flag("tcpkeepalive", default=True),
            connect_timeout_s=self._seconds("connecttimeout"),
            keepalive_s=self._seconds("serveraliveinterval"),
            keepalive_count=self._number("serveralivecountmax", 0, 0, 1000) or None,
            set_env=self._set_env(),
            proxy_command_file=self._file("proxycommand"),
            proxy_command_place=self._place("proxycommand"),
            # Last, as every value above may add a fault.
            faults=tuple(self._faults),
            ignored=(*map(str, self._faults), *ignored_settings(found)),
        )

    # ------------------------------------------------------------ single values

    def _fault(self, setting: Setting, why: str) -> None:
        self._faults.append(Fault(setting.file, setting.line, 1, f"{setting.name} {setting.value}: {why}"))

    def _file(self, name: str) -> str:
        setting = self._found.first(name)
        return setting.file if setting else ""

    def _place(self, name: str) -> str:
        setting = self._found.first(name)
        return setting.place if setting else ""

    def _text(self, name: str, default: str) -> str:
        setting, value = self._found.first(name), self._found.value(name)
        if setting is None or value is None:
            return default
        try:
            return self._expand(value)
        except ValueError as error:
            self._fault(setting, str(error))
            return default

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        setting, value = self._found.first(name), self._found.value(name)
        if setting is None or value is None:
            return default
        if not value.isascii() or not value.isdigit() or not least <= int(value[:9]) <= most:
            self._fault(setting, f"is not a number from {least} to {most}")
            return default
        return int(value)

    def _seconds(self, name: str) -> float | None:
        setting, value = self._found.first(name), self._found.value(name)
        if setting is None or value is None:
            return None
        units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        parts = re.findall(r"(\d{1,9})([smhdw]?)", value.lower())
        if not parts or "".join(number + unit for number, unit in parts) != value.lower():
            self._fault(setting, "is not a time")
            return None
        return float(sum(int(number) * units[unit] for number, unit in parts))

    def _expand(self, value: str, *, environment: bool = False) -> str:
        def token(match: re.Match[str]) -> str:
            if match[1] not in self._tokens:
                raise ValueError(f"%{match[1]} is not known here")
            return self._tokens[match[1]]

        def variable(match: re.Match[str]) -> str:
            if match[1] not in os.environ:
                raise ValueError(f"the environment has no {match[1]}")
            return os.environ[match[1]]

        text = re.sub(r"\$\{([^}]*)\}", variable, value) if environment else value
        if "%" not in text:
            return text
        if self._reached_as is not None:
            self._add_tokens(*self._reached_as)
            self._reached_as = None
        return re.sub(r"%(.?)", token, text)

    def _add_tokens(self, address: str, port: int, user: str) -> None:
        local = socket.gethostname()
        jump = self._found.value("proxyjump") or ""
        joined = "".join((local, address, str(port), user, jump))
        self._tokens |= {
            "h": address,
            "p": str(port),
            "r": user,
            "u": local_user(),
            "l": local,
            "L": local.partition(".")[0],
            "d": str(_usual("~")[0]),
            "i": str(os.getuid()),
            "j": jump,
            "k": self._found.value("hostkeyalias") or self._lookup,
            "C": hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest(),  # as ssh does
        }

    def _path(self, value: str) -> Path:
        return Path(self._expand(value, environment=True)).expanduser()

    def _paths(self, name: str) -> tuple[Path, ...]:
        paths = []
        for setting in self._found.all(name):
            if setting.value.lower() == "none":
                continue
            try:
                paths.append(self._path(setting.value))
            except (ValueError, RuntimeError) as error:
                self._fault(setting, str(error))
        return tuple(dict.fromkeys(paths))

    # ------------------------------------------------------------ groups of values

    def _identity_files(self) -> tuple[tuple[Path, ...], bool]:
        if self._target.identity_files:
            return tuple(map(_expanded, self._target.identity_files)), True
        if self._found.first("identityfile") is not None:
            return self._paths("identityfile"), True
        return _usual(*(f"~/.ssh/{name}" for name in _DEFAULT_KEYS)), False

    def _agent(self) -> str:
        setting, usual = self._found.first("identityagent"), os.environ.get("SSH_AUTH_SOCK", "")
        if setting is None or setting.value == "SSH_AUTH_SOCK":
            return usual
        if setting.value.lower() == "none":
            return ""
        return self._socket(setting)

    def _forward_agent(self, agent: str) -> str:
        setting = self._found.first("forwardagent")
        if setting is None or setting.value.lower() in ("no", "false"):
            return ""
        if setting.value.lower() in ("yes", "true"):
            return agent
        return self._socket(setting)

    def _socket(self, setting: Setting) -> str:
        value = setting.value
        if re.fullmatch(r"\$\w+", value):
            return os.environ.get(value[1:], "")
        try:
            return str(self._path(value))
        except (ValueError, RuntimeError) as error:
            self._fault(setting, str(error))
            return ""

    def _jumps(self, address: str, port: int, user: str) -> tuple[str, ...]:
        setting = self._found.first("proxyjump")
        text = self._text("proxyjump", "")
        if setting is None or not text:
            return ()
        jumps = tuple(part.strip() for part in text.split(","))
        for jump in jumps:
            match = _HOP.fullmatch(jump)
            if match is None or (match["port"] and not 1 <= int(match["port"][:9]) <= 65535):
                self._fault(setting, f"{jump!r} is not [user@]host[:port]")
                return ()
        if len(jumps) > MAX_JUMPS:
            self._fault(setting, f"more than {MAX_JUMPS} jumps")
            return ()
        match = _HOP.fullmatch(jumps[0])
        if len(jumps) == 1 and match is not None:
            # A pattern like `Host *` gives a jump host itself as its jump; ssh leaves that out as well.
            same_host = match["host"].strip("[]").lower() in (self._lookup.lower(), address.lower())
            if same_host and (match["user"] or user) == user and int(match["port"] or port) == port:
                return ()
        return jumps

    def _proxy_command(self, address: str, user: str) -> str:
        setting, command = self._found.first("proxycommand"), self._text("proxycommand", "")
        if setting is None or not command:
            return ""
        for value in (address, user, self._lookup):
            # It goes through a shell; names may come from an inventory that somebody else writes.
            if not re.fullmatch(r"[A-Za-z0-9_.:%@+][A-Za-z0-9_.:%@+-]*", value):
                self._fault(setting, f"{value!r} is not safe in a shell's command line")
                return ""
        return command

    def _known_hosts(self, name: str, usual: tuple[str, ...]) -> tuple[Path, ...]:
        setting = self._found.first(name)
        if setting is None:
            return _usual(*usual)
        paths = []
        for argument in setting.arguments:
            if argument.lower() == "none":
                continue
            try:
                paths.append(self._path(argument))
            except (ValueError, RuntimeError) as error:
                self._fault(setting, str(error))
        return tuple(paths)

    def _algorithms(self) -> Algorithms | None:
        named = ("kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "compression")
        if all(self._found.first(name) is None for name in named):
            return None
        from core.ssh import algorithms

        return Algorithms(
            kex=self._chosen("kexalgorithms", algorithms.choose_kex),
            ciphers=self._chosen("ciphers", algorithms.choose_ciphers),
            macs=self._chosen("macs", algorithms.choose_macs),
            host_keys=self._chosen("hostkeyalgorithms", algorithms.choose_host_keys),
            compression=self._found.flag("compression"),
        )

    def _chosen(self, name: str, choose: Callable[[str | None], tuple[str, ...]]) -> tuple[str, ...]:
        setting = self._found.first(name)
        try:
            return choose(self._found.value(name))
        except ValueError as error:
            if setting is not None:
                self._fault(setting, str(error))
            return choose(None)

    def _family(self) -> int:
        setting = self._found.first("addressfamily")
        if setting is None:
            return socket.AF_UNSPEC
        if setting.value.lower() not in _FAMILIES:
            self._fault(setting, "is none of any, inet, inet6")
        return _FAMILIES.get(setting.value.lower(), socket.AF_UNSPEC)

    def _set_env(self) -> dict[str, str]:
        setting = self._found.first("setenv")
        result: dict[str, str] = {}
        for pair in setting.arguments if setting is not None else ():
            name, equals, value = pair.partition("=")
            if not equals or not name:
                if setting is not None:
                    self._fault(setting, f"{pair!r} is not NAME=VALUE")
                continue
            result.setdefault(name, value)
        return result
