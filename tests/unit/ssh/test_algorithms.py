"""Which algorithms are offered, by default and by ssh_config."""

from __future__ import annotations

import pytest

from core.ssh.algorithms import (
    choose_ciphers,
    choose_host_keys,
    choose_kex,
    choose_macs,
    order_host_keys,
)


def test_the_cheap_ones_come_first_and_sha1_is_gone() -> None:
    assert choose_kex(None)[0] == "curve25519-sha256"
    assert choose_ciphers(None)[0] == "aes128-gcm@openssh.com"
    assert not [name for name in choose_kex(None) if "sha1" in name or name.startswith("gss-")]
    assert "ssh-rsa" not in choose_host_keys(None)
    assert choose_host_keys(None)[0] == "ssh-ed25519"
    assert "hmac-sha2-256" in choose_macs(None)


def test_lists_additions_removals_and_preferences() -> None:
    assert choose_ciphers("aes256-ctr,unknown-cipher,aes128-ctr") == ("aes256-ctr", "aes128-ctr")
    assert choose_ciphers("aes*-ctr")[:3] == ("aes256-ctr", "aes192-ctr", "aes128-ctr")
    assert choose_host_keys("+ssh-rsa")[-1] == "ssh-rsa"
    assert choose_host_keys("+ssh-rsa")[0] == "ssh-ed25519"
    assert "aes128-gcm@openssh.com" not in choose_ciphers("-aes128*")
    assert choose_kex("^ecdh-sha2-nistp256")[:2] == ("ecdh-sha2-nistp256", "curve25519-sha256")
    assert choose_host_keys("ssh-ed25519-cert-v01@openssh.com,ssh-ed25519") == ("ssh-ed25519",)


def test_a_choice_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="MACs none-such"):
        choose_macs("none-such")


def test_known_keys_are_asked_for_first() -> None:
    default = choose_host_keys(None)
    assert order_host_keys(default, ["ssh-rsa"], authority=False)[:3] == [
        "rsa-sha2-512",
        "rsa-sha2-256",
        "ssh-ed25519",
    ]
    assert order_host_keys(default, [], authority=False) == list(default)
    assert order_host_keys(default, ["ssh-dss"], authority=False) == list(default)
    assert order_host_keys(default, ["ecdsa-sha2-nistp384"], authority=False)[0] == "ecdsa-sha2-nistp384"
    certified = order_host_keys(default, [], authority=True)
    assert certified[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert "rsa-sha2-512-cert-v01@openssh.com" in certified
