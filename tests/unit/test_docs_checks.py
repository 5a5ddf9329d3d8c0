"""The checks of the documents find what they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import checks

RECORD = """# {number}: A decision

Status: accepted

## Context

Why.

## Decision

What.

## Consequences

So.

## Alternatives

Else.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two accepted records and their index."""
    for number in ("0001", "0002"):
        (tmp_path / f"{number}-a.md").write_text(RECORD.format(number=number))
    (tmp_path / "README.md").write_text("[0001](0001-a.md) [0002](0002-a.md)")
    checks.accept(tmp_path, ["0001", "0002"])
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    """Replaces a text that must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_accepted_records_have_no_faults(folder: Path) -> None:
    assert list(checks.adr_faults(folder)) == []


def test_a_tampered_body_is_found(folder: Path) -> None:
    change(folder / "0002-a.md", "What.", "What else.")
    (fault,) = checks.adr_faults(folder)
    assert "0002-a.md: an accepted record has changed" in fault


def test_the_status_may_become_superseded(folder: Path) -> None:
    change(folder / "0001-a.md", "Status: accepted", "Status: superseded by 0002")
    assert list(checks.adr_faults(folder)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("0002-a.md", "# 0002: ", "# ", 'the title starts with "# 0002: "'),
        (
            "0002-a.md",
            "## Alternatives",
            "## Others",
            "its sections are Context, Decision, Consequences, Others",
        ),
        ("0002-a.md", "Status: accepted", "Status: maybe", 'has no line "Status: proposed"'),
        ("README.md", "(0002-a.md)", "", "does not list 0002-a.md"),
    ],
)
def test_a_malformed_record_is_found(folder: Path, name: str, old: str, new: str, fault: str) -> None:
    change(folder / name, old, new)
    assert any(fault in found for found in checks.adr_faults(folder))


def test_a_record_that_is_gone_is_found(folder: Path) -> None:
    (folder / "0002-a.md").unlink()
    assert any("names 0002-a.md, which is gone" in fault for fault in checks.adr_faults(folder))


def test_a_gap_in_the_numbers_is_found(folder: Path) -> None:
    (folder / "0002-a.md").rename(folder / "0003-a.md")
    assert any("0002 comes next" in fault for fault in checks.adr_faults(folder))


def test_a_proposed_record_needs_no_digest(folder: Path) -> None:
    (folder / "0003-b.md").write_text(RECORD.format(number="0003").replace("accepted", "proposed"))
    change(folder / "README.md", "[0001]", "[0003](0003-b.md) [0001]")
    assert list(checks.adr_faults(folder)) == []


def test_accepting_without_a_digest_is_found_and_mended(folder: Path) -> None:
    (folder / "0003-b.md").write_text(RECORD.format(number="0003"))
    change(folder / "README.md", "[0001]", "[0003](0003-b.md) [0001]")
    (fault,) = checks.adr_faults(folder)
    assert "accepted without a digest; python docs/checks.py accept 0003" in fault
    checks.accept(folder, ["0003"])
    assert list(checks.adr_faults(folder)) == []


def test_accept_refuses_what_it_may_not_do(folder: Path) -> None:
    change(folder / "0001-a.md", "What.", "What else.")
    change(folder / "0002-a.md", "Status: accepted", "Status: proposed")
    with pytest.raises(ValueError, match="was accepted with another body"):
        checks.accept(folder, ["0001"])
    with pytest.raises(ValueError, match='its status is not "accepted" yet'):
        checks.accept(folder, ["0002"])
    with pytest.raises(ValueError, match="has no record 0009"):
        checks.accept(folder, ["0009"])
    checks.accept(folder, ["0001"], again=True)
    assert not any("has changed" in fault for fault in checks.adr_faults(folder))


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# There it is\n\n```sh\n# not a heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#there-it-is) [c](#here) [d](https://example.org/x)\n"
        "## Here\n"
        "[e](gone.md) [f](there.md#not-a-heading) [g](#nowhere)\n"
        "```\n[h](in-a-block.md)\n```\n"
        "![i](gone.svg)\n"
    )
    assert list(checks.link_faults(tmp_path, page)) == [
        "page.md:3: the link gone.md leads nowhere",
        "page.md:3: there.md has no heading #not-a-heading",
        "page.md:3: page.md has no heading #nowhere",
        "page.md:7: the link gone.svg leads nowhere",
    ]


def test_named_files_that_do_not_exist_are_found(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "errors.py").touch()
    page = tmp_path / "page.md"
    page.write_text("`core/errors.py`, `core/`, `batches/NAME.yaml`\n\n`core/gone.py`\n")
    assert list(checks.name_faults(tmp_path, page)) == ["page.md:3: there is no core/gone.py"]


def test_the_command_names_its_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main(["accept", "9999"]) == 2
    assert "has no record 9999" in capsys.readouterr().err
