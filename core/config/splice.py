"""Edits of a YAML text, and of its model along with it: put, add, remove, append.

Each changes as few characters as it can and leaves everything else as it is: comments, quotes, anchors, blank
lines, line ends. None of them is trusted: `core.config.edit` reads the result again.
"""

from __future__ import annotations

from typing import Any

from core.config.locate import Part, Spot, true_end
from core.config.scalars import literal_lines, write, write_key

STEP = 2
"""Columns that a new level is indented by."""


class Splicer:
    """A text and its model; an edit changes both. One edit for each splicer: places are those of the old text."""

    def __init__(self, text: str, root: Part | None) -> None:
        self.text = text
        self.root = root
        self._newline = "\r\n" if "\r\n" in text else "\n"

    # ---------------------------------------------------------------- the edits

    def put(self, part: Part, value: Any, owner: Part | None) -> None:
        """A value in the place of another one, behind its anchor; `owner` is the collection around it."""
        part_end = true_end(self.text, part)
        literal = literal_lines(value) if isinstance(value, str) and part.style == "|" else None
        flow = owner is not None and owner.flow
        style = part.style if part.style in ("'", '"') and isinstance(value, str) else ""
        if literal is not None:
            indent = self._content_indent(part)
            lines = [literal[0], *(indent + line if line else "" for line in literal[1:])]
            self._splice(part.body, part_end, self._newline.join(lines))
        elif part.block and owner is not None and self._alone_before(part.body):
            self._put_over_lines(part, part_end, write(value))
        else:
            new = write(value, style=style, flow=flow)
            before = self.text[part.body - 1 : part.body]
            gap = " " if part.body == part.end and before and not before.isspace() else ""
            self._splice(part.body, part_end, gap + new)
        self._now(part, value)

    def put_alias(self, spot: Spot, value: Any) -> None:
        """A value of its own in the place of an alias."""
        alias = spot.value
        self._splice(alias.start, alias.end, write(value, flow=spot.owner.flow))
        alias.target = None
        self._now(alias, value)

    def add(self, mapping: Part, keys: list[str], value: Any) -> None:
        """A new key at the end of a mapping; further keys are mappings around the value."""
        if mapping.flow:
            text = f"{write_key(keys[0], flow=True)}: {write(_nested(keys[1:], value), flow=True)}"
            self._add_to_flow(mapping, [pair[1] for pair in mapping.pairs], text)
        else:
            indent = self._indent_of(mapping.pairs[0][0].start)
            self._add_lines(true_end(self.text, mapping), self._block_lines(indent, keys, value))
        key = Part("scalar", 0, 0, 0, value=keys[0], style="'")
        mapping.pairs.append((key, _given(_nested(keys[1:], value))))

    def fill(self, spot: Spot, keys: list[str], value: Any) -> None:
        """A mapping in the place of nothing (`key:`), in lines of its own where there is room for them."""
        part = spot.value
        plain = part.kind == "scalar" and part.start == part.end and spot.owner.block
        if not plain or spot.owner.kind != "mapping":
            self.put(part.real, _nested(keys, value), spot.owner)
            return
        indent = self._indent_of(spot.owner.pairs[spot.index][0].start) + " " * STEP
        self._add_lines(part.end, self._block_lines(indent, keys, value))
        self._now(part, _nested(keys, value))

    def begin(self, keys: list[str], value: Any) -> None:
        """The first key of a text that holds no value."""
        if self.text and not self.text.endswith("\n"):
            self.text += self._newline
        self.text += self._newline.join(self._block_lines("", keys, value)) + self._newline
        self.root = _given(_nested(keys, value))

    def append(self, sequence: Part, value: Any) -> None:
        """A new last entry."""
        if sequence.flow:
            self._add_to_flow(sequence, sequence.entries, write(value, flow=True))
        else:
            indent = self._indent_of(sequence.body)
            self._add_lines(true_end(self.text, sequence), [f"{indent}- {write(value)}"])
        sequence.entries.append(_given(value))

    def remove(self, spot: Spot, above: Part | None) -> None:
        """Takes a pair or an entry away; `above` is the collection around the one that holds it."""
        owner, index = spot.owner, spot.index
        count = len(owner.pairs) + len(owner.entries)
        if owner.flow:
            self._remove_from_flow(owner, index, count)
        elif count == 1:
            self.put(owner, {} if owner.kind == "mapping" else [], above)
            return
        else:
            self._remove_lines(owner, index, count)
        if owner.kind == "mapping":
            del owner.pairs[index]
        else:
            del owner.entries[index]

    # ---------------------------------------------------------------- flow

    def _add_to_flow(self, part: Part, children: list[Part], new: str) -> None:
        if children:
            end = true_end(self.text, children[-1])
            gap = " " if self.text[end - 1] == ":" else ""  # a colon and a comma together are text
            self._splice(end, end, f"{gap}, {new}")
        else:
            self._splice(part.body + 1, part.body + 1, new)

    def _remove_from_flow(self, owner: Part, index: int, count: int) -> None:
        def begin(at: int) -> int:
            return owner.pairs[at][0].start if owner.kind == "mapping" else owner.entries[at].start

        def end(at: int) -> int:
            return owner.pairs[at][1].end if owner.kind == "mapping" else owner.entries[at].end

        if index + 1 < count:
            self._splice(begin(index), begin(index + 1), "")
        elif index:
            self._splice(end(index - 1), end(index), "")
        else:
            self._splice(begin(index), end(index), "")

    # ---------------------------------------------------------------- lines

    def _block_lines(self, indent: str, keys: list[str], value: Any) -> list[str]:
        lines = []
        for depth, key in enumerate(keys):
            lines.append(f"{indent}{' ' * STEP * depth}{write_key(key)}:")
        lines[-1] += f" {write(value)}"
        return lines

    def _add_lines(self, after: int, lines: list[str]) -> None:
        """New lines behind the line of a place."""
        end = self._line_end(after)
        self._splice(end, end, "".join(self._newline + line for line in lines))

    def _put_over_lines(self, part: Part, part_end: int, new: str) -> None:
        """A value in one line in the place of lines; it goes behind the colon, the dash or the anchor above."""
        first, last = self._line_start(part.body), self._line_end(part_end)
        head = part.start + len(f"&{part.anchor}") if part.anchor else self._colon_before(first)
        kept = self.text[head : self._line_end(head)]
        between = self.text[self._line_end(head) : first]  # comments between the key and the first line
        ends_with_break = between[: -len(self._newline)] if between.endswith(self._newline) else between
        self._splice(head, last, f" {new}{kept}{ends_with_break}")

    def _colon_before(self, position: int) -> int:
        """Where the `:` or `-` ends that lines begin under, comments passed over."""
        while position:
            start = self._line_start(position - 1)
            line = self.text[start : self._line_end(start)]
            if line.strip() and not line.lstrip().startswith("#"):
                for index, character in enumerate(line):
                    if character == "#" and index and line[index - 1].isspace():
                        line = line[:index]
                        break
                return start + len(line.rstrip())
            position = start
        return 0

    def _remove_lines(self, owner: Part, index: int, count: int) -> None:
        start = self._begin(owner, index)
        last = owner.pairs[index][1] if owner.kind == "mapping" else owner.entries[index]
        if not self._alone_before(start) and index + 1 < count:  # the first one behind a dash
            self._splice(start, self._begin(owner, index + 1), "")
            return
        first, end = self._line_start(start), self._line_end(true_end(self.text, last))
        following = self._line_after(end)
        if following == end and first:  # the last line of a file that ends without a line end
            first = len(self.text[:first].removesuffix("\n").removesuffix("\r"))
        self._splice(first, following, "")

    def _begin(self, owner: Part, index: int) -> int:
        """Where a pair's key or an entry's dash stands."""
        if owner.kind == "mapping":
            return owner.pairs[index][0].start
        if index == 0:
            return owner.body
        column = owner.body - self._line_start(owner.body)
        start = self._line_start(owner.entries[index].start)
        while start > owner.body:
            if self.text[start + column : start + column + 1] == "-" and self._alone_before(start + column):
                return start + column
            start = self._line_start(start - 1)
        return owner.entries[index].start

    def _content_indent(self, part: Part) -> str:
        for line in self.text[part.body : part.end].split("\n")[1:]:
            if line.strip():
                return line[: len(line) - len(line.lstrip(" "))]
        return self._indent_of(part.body) + " " * STEP

    def _indent_of(self, position: int) -> str:
        return " " * (position - self._line_start(position))

    def _alone_before(self, position: int) -> bool:
        return not self.text[self._line_start(position) : position].strip()

    def _line_start(self, position: int) -> int:
        return self.text.rfind("\n", 0, position) + 1

    def _line_end(self, position: int) -> int:
        """Where the line of a position ends, in front of its line end."""
        found = self.text.find("\n", position)
        if found < 0:
            return len(self.text)
        return found - 1 if found > position and self.text[found - 1] == "\r" else found

    def _line_after(self, end: int) -> int:
        found = self.text.find("\n", end)
        return end if found < 0 else found + 1

    # ---------------------------------------------------------------- both

    def _splice(self, start: int, end: int, new: str) -> None:
        self.text = self.text[:start] + new + self.text[end:]

    def _now(self, part: Part, value: Any) -> None:
        part.kind, part.value = "given", value


def _given(value: Any) -> Part:
    return Part("given", 0, 0, 0, value=value)


def _nested(keys: list[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value
