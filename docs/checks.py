"""Checks of the documents that a site builder does not make; `make lint` runs them.

    python docs/checks.py                       every check; one line for each fault, status 1 if any
    python docs/checks.py accept NNNN [...]     stores the digests of accepted decision records

- Decision records (`docs/architecture/adr/NNNN-name.md`) are numbered without a gap, have their four
  sections and a status, and are listed in the index. The body of an accepted record never changes: its
  sha256, without the status line, is kept in `digests.txt`. A change of mind is a new record.
- Links of Markdown files outside `docs/` lead somewhere (those inside are the site builder's).
- Files of this repository that a document names in code marks exist, so that a move is noticed.
  Decision records and the change log are exempt: they tell of their own day.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADR = Path("docs/architecture/adr")
SECTIONS = ("Context", "Decision", "Consequences", "Alternatives")
STATUS = re.compile(r"^Status: (?P<status>proposed|accepted|superseded by \d{4})$", re.MULTILINE)
FENCE = re.compile(r"^( *)(```+|~~~+).*?^ *\2[`~]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(\s*<?(?P<target>[^)\s>]+)[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)
NAMED_FILE = re.compile(
    r"`(?P<path>(?:benchmarks|cli|core|docs|providers|requirements|tests|themes|tui|workspaces)"
    r"/[\w./-]*)`"
)


# ---------------------------------------------------------------- decision records


def digest(text: str) -> str:
    """The sha256 in hexadecimal of a record without its status line, which may become "superseded"."""
    return hashlib.sha256(STATUS.sub("", text, count=1).encode()).hexdigest()


def read_digests(folder: Path) -> dict[str, str]:
    """The stored digests by file name; `digests.txt` has the form of sha256sum."""
    path = folder / "digests.txt"
    if not path.exists():
        return {}
    lines = (line.split() for line in path.read_text().splitlines() if line.strip())
    return {name: value for value, name in lines}


def records(folder: Path) -> list[Path]:
    """Every decision record, by number."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-*.md"))


def adr_faults(folder: Path) -> Iterator[str]:
    """What is wrong with the decision records in `folder`, one sentence for each fault."""
    stored = read_digests(folder)
    index_path = folder / "README.md"
    index = index_path.read_text() if index_path.exists() else ""
    for number, path in enumerate(records(folder), start=1):
        text = path.read_text()
        if not path.name.startswith(f"{number:04}-"):
            yield f"{path}: the records are numbered without a gap; {number:04} comes next"
        if not text.startswith(f"# {path.name[:4]}: "):
            yield f'{path}:1: the title starts with "# {path.name[:4]}: "'
        if f"({path.name})" not in index:
            yield f"{index_path}: does not list {path.name}"
        sections = tuple(re.findall(r"^## (.+)$", text, re.MULTILINE))
        if sections != SECTIONS:
            yield f"{path}: its sections are {', '.join(sections) or 'none'}, not {', '.join(SECTIONS)}"
        status = STATUS.search(text)
        if status is None:
            yield f'{path}: has no line "Status: proposed", "accepted" or "superseded by NNNN"'
        elif status["status"] != "proposed":
            if path.name not in stored:
                yield f"{path}: accepted without a digest; python docs/checks.py accept {path.name[:4]}"
            elif stored[path.name] != digest(text):
                yield f"{path}: an accepted record has changed; write a new one that supersedes it"
    for name in sorted(set(stored) - {path.name for path in records(folder)}):
        yield f"{folder / 'digests.txt'}: names {name}, which is gone; an accepted record stays"


def accept(folder: Path, numbers: Sequence[str], *, again: bool = False) -> None:
    """Stores the digests of the records of these numbers, which must be accepted.

    Raises ValueError for a number without a record, a record that is not accepted, and one whose body
    differs from its stored digest unless `again` (for drafts that nobody else has seen).
    """
    stored = read_digests(folder)
    for number in numbers:
        found = [path for path in records(folder) if path.name.startswith(f"{number}-")]
        if len(found) != 1:
            raise ValueError(f"{folder} has no record {number}")
        name, text = found[0].name, found[0].read_text()
        status = STATUS.search(text)
        if status is None or status["status"] == "proposed":
            raise ValueError(f'{found[0]}: its status is not "accepted" yet')
        if not again and stored.get(name, digest(text)) != digest(text):
            raise ValueError(f"{found[0]}: was accepted with another body; write a new record instead")
        stored[name] = digest(text)
    lines = [f"{value}  {name}\n" for name, value in sorted(stored.items())]
    (folder / "digests.txt").write_text("".join(lines))


# ---------------------------------------------------------------- links and names


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get."""
    headings = (match["text"].lower() for match in HEADING.finditer(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in headings}


def link_faults(root: Path, path: Path) -> Iterator[str]:
    """Links of one page that lead nowhere; links to other sites are not followed."""
    for match in LINK.finditer(blanked(path.read_text())):
        target = match["target"]
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        where = f"{path.relative_to(root)}:{line_of(match)}"
        if not there.exists():
            yield f"{where}: the link {target} leads nowhere"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text()):
            yield f"{where}: {there.relative_to(root)} has no heading #{anchor}"


def name_faults(root: Path, path: Path) -> Iterator[str]:
    """Files of this repository that a page names in code marks and that are not there."""
    for match in NAMED_FILE.finditer(blanked(path.read_text())):
        if not (root / match["path"]).exists():
            yield f"{path.relative_to(root)}:{line_of(match)}: there is no {match['path']}"


def blanked(text: str) -> str:
    """The text with its fenced blocks emptied, line numbers kept."""
    return FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def line_of(match: re.Match[str]) -> int:
    """The line, from 1, at which a match starts."""
    return match.string.count("\n", 0, match.start()) + 1


# ---------------------------------------------------------------- the command


def pages(root: Path) -> list[Path]:
    """Every Markdown file of the repository: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if answer.returncode != 0:  # not a checkout: an unpacked source archive
        names = (path.relative_to(root) for path in root.rglob("*.md"))
        return sorted(root / name for name in names if not any(part[0] == "." for part in name.parts))
    found = (root / name for name in answer.stdout.split("\0") if name)
    return sorted(path for path in found if path.exists())


def all_faults(root: Path) -> Iterator[str]:
    """Every fault of every check."""
    yield from adr_faults(root / ADR)
    for path in pages(root):
        if not path.is_relative_to(root / "docs"):
            yield from link_faults(root, path)
        if not path.is_relative_to(root / ADR) and path.name != "CHANGELOG.md":
            yield from name_faults(root, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Checks the documents.")
    commands = parser.add_subparsers(dest="command")
    accepting = commands.add_parser("accept", help="store the digests of accepted decision records")
    accepting.add_argument("numbers", nargs="+", metavar="NNNN")
    accepting.add_argument("--again", action="store_true", help="replace the digest of an unpublished draft")
    options = parser.parse_args(arguments)
    if options.command == "accept":
        try:
            accept(ROOT / ADR, options.numbers, again=options.again)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        return 0
    faults = [fault.replace(f"{ROOT}/", "") for fault in all_faults(ROOT)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
