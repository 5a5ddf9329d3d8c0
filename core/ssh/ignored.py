"""Options of ssh_config that are not honoured here and change where, as whom or how safely we connect.

Each is told as one sentence with file and line, so that `servers show` and the plan can name it. What
only changes comfort (compression of logs, escape characters, prompts) is left out on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.ssh.sshconfig import SYSTEM_CONFIG, Effective, Setting


def _set(value: str) -> bool:
    return value.lower() not in ("", "no", "false", "none", "off", "0")


@dataclass(frozen=True, slots=True)
class _Option:
    """`matters` tells by the value; `system` is False where distributions set it for everybody."""

    name: str
    effect: str
    matters: Callable[[str], bool] = _set
    system: bool = True


_OPTIONS = {
    option.name.lower(): option
    for option in (
        # where
        _Option("BindInterface", "the connection leaves by the interface that the routes choose"),
        _Option("CanonicalizeHostname", "the name is used as it is, without the canonical domains"),
        _Option("ControlPath", "a connection that ssh shares is not used; Windlass makes its own"),
        _Option("ProxyUseFdpass", "the proxy command is spoken to by its standard input and output"),
        _Option("Tunnel", "no tunnel device is opened"),
        # as whom, and what runs
        _Option("GSSAPIAuthentication", "Kerberos is not tried", system=False),
        _Option("GSSAPIDelegateCredentials", "Kerberos credentials are not passed on"),
        _Option("HostbasedAuthentication", "host keys of this machine are not tried"),
        _Option("PKCS11Provider", "keys on the token are used only where an agent holds them"),
        _Option("RemoteCommand", "the batch's own commands run instead"),
        _Option(
            "SecurityKeyProvider",
            "security keys are used only where an agent holds them",
            lambda value: _set(value) and value.lower() != "internal",
        ),
        _Option("SessionType", "commands are run all the same", lambda value: value.lower() != "default"),
        # how safely
        _Option("CheckHostIP", "host keys are looked up by name only"),
        _Option("KnownHostsCommand", "host keys are looked up in files only"),
        _Option("NoHostAuthenticationForLocalhost", "host keys of this machine are checked like any other"),
        _Option(
            "PubkeyAcceptedAlgorithms",
            "the signature algorithms of a user key are not narrowed",
            system=False,
        ),
        _Option("RequiredRSASize", "the size of RSA keys is not checked", system=False),
        _Option("RevokedHostKeys", "only @revoked lines in known_hosts revoke a host key"),
        _Option(
            "StrictHostKeyChecking",
            "an unknown host key is refused until it is trusted, a changed one always",
            lambda value: value.lower() in ("no", "off", "false", "accept-new"),
        ),
        _Option("VerifyHostKeyDNS", "host keys are not looked up in the DNS"),
    )
}
_OPTIONS["pubkeyacceptedkeytypes"] = _OPTIONS["pubkeyacceptedalgorithms"]


def ignored_settings(found: Effective) -> list[str]:
    """One sentence for each option and each condition that is not honoured, in file order."""
    told: list[tuple[str, int, str]] = []
    for name in found.settings.keys() & _OPTIONS.keys():
        option, setting = _OPTIONS[name], found.settings[name][0]
        if option.matters(setting.value) and (option.system or not _of_system(setting)):
            text = f"{option.name} {setting.value} is not honoured: {option.effect}"
            told.append((setting.file, setting.line, text))
    local_command = found.first("localcommand")
    if local_command is not None and found.flag("permitlocalcommand"):
        text = "LocalCommand is not run, and what it would have prepared is missing"
        told.append((local_command.file, local_command.line, text))
    for condition in found.untold:
        text = f"{condition.text!r} is not evaluated: the options under it do not apply"
        told.append((condition.file, condition.line, text))
    return [f"{file}:{line}: {text}" for file, line, text in sorted(set(told))]


def _of_system(setting: Setting) -> bool:
    return setting.file.startswith(f"{SYSTEM_CONFIG.parent}/") or setting.file.startswith("/usr/etc/ssh/")
