"""What a logout does, by the files of a login manager."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from core.logout import Login

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/logind.conf.d").mkdir(parents=True)
    (tmp_path / "var/lib/systemd/linger").mkdir(parents=True)
    return tmp_path


def linger(root: Path, uid: int) -> None:
    (root / "var/lib/systemd/linger" / pwd.getpwuid(uid).pw_name).touch()


def test_without_systemd_a_logout_ends_nothing(tmp_path: Path) -> None:
    login = Login(tmp_path, NOBODY)
    assert login.stay(managed=False).survives and not login.scope_helps


def test_the_last_word_of_its_files_counts(root: Path) -> None:
    (root / "etc/systemd/logind.conf").write_text("[Login]\n#KillUserProcesses=no\nKillUserProcesses = yes\n")
    login = Login(root, NOBODY)
    assert login.killing_file == str(root / "etc/systemd/logind.conf")
    (root / "etc/systemd/logind.conf.d/later.conf").write_text("KillUserProcesses=no\n")
    assert login.killing_file == ""


def test_a_login_manager_that_kills_is_named_with_its_file_and_the_way_out(root: Path) -> None:
    (root / "etc/systemd/logind.conf").write_text("KillUserProcesses=yes\n")
    login = Login(root, NOBODY)
    stay = login.stay(managed=False)
    assert not stay.survives and login.scope_helps
    assert str(root / "etc/systemd/logind.conf") in stay.why and "loginctl enable-linger" in stay.why


def test_root_is_let_alone(root: Path) -> None:
    (root / "etc/systemd/logind.conf").write_text("KillUserProcesses=yes\n")
    assert Login(root, 0).stay(managed=False).survives


def test_a_scope_outlives_the_last_logout_where_the_account_lingers(root: Path) -> None:
    login = Login(root, NOBODY)
    assert not login.scope_helps and not login.stay(managed=True).survives
    linger(root, NOBODY)
    assert login.scope_helps and login.stay(managed=True).survives


def test_an_account_without_a_name_does_not_linger(root: Path) -> None:
    assert not Login(root, 54_321).lingers
    assert Login(root).lingers is Login(root, os.getuid()).lingers


def test_drop_ins_are_read_by_their_names_and_masked_by_weightier_folders(root: Path) -> None:
    login = Login(root, NOBODY)
    ours = root / "usr/lib/systemd/logind.conf.d"
    ours.mkdir(parents=True)
    (ours / "90-kill.conf").write_text("KillUserProcesses=yes\n")
    (root / "etc/systemd/logind.conf.d/10-keep.conf").write_text("KillUserProcesses=no\n")
    assert login.killing_file == str(ours / "90-kill.conf"), "by name, whatever folder it lies in"
    (root / "etc/systemd/logind.conf.d/90-kill.conf").write_text("")
    assert login.killing_file == "", "the one of /etc takes the place of the other of its name"


def test_a_main_file_of_the_distribution_counts_where_there_is_no_other(root: Path) -> None:
    (root / "usr/lib/systemd").mkdir(parents=True)
    (root / "usr/lib/systemd/logind.conf").write_text("KillUserProcesses=yes\n")
    login = Login(root, NOBODY)
    assert login.killing_file == str(root / "usr/lib/systemd/logind.conf")
    (root / "etc/systemd/logind.conf").write_text("#\n")
    assert login.killing_file == ""


def test_root_in_the_session_of_somebody_else_is_not_let_alone(root: Path) -> None:
    (root / "etc/systemd/logind.conf").write_text("KillUserProcesses=yes\n")
    assert Login(root, 0, session_uid=NOBODY).killing_file
    assert not Login(root, 0, session_uid=0).killing_file


def test_lingering_is_not_recommended_where_it_is_on(root: Path) -> None:
    (root / "etc/systemd/logind.conf").write_text("KillUserProcesses=yes\n")
    linger(root, NOBODY)
    told = Login(root, NOBODY).stay(managed=False)
    assert not told.survives and "enable-linger" not in told.why and "systemd-run" in told.why
