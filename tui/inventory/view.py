"""How a person wants the inventory: columns, order, groups, and filters by name. Pure, but for how it is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.model.views import ServerInfo
from tui.inventory.columns import AT_FIRST, BY_ID
from tui.inventory.reaching import Reached

MOST_FILTERS = 100
MOST_CHARS = 1000
UNGROUPED = ""
"""How servers are grouped where they are not."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Stands before the servers that have one value in common; they are left out while it is `folded`."""

    value: str
    servers: int
    folded: bool


Row = ServerInfo | Heading


@dataclass(frozen=True, slots=True)
class View:
    """`columns` in their order; `sort` and `group` are ids of columns; `filters` are saved ones of the workspace."""

    columns: tuple[str, ...] = AT_FIRST
    sort: str = "name"
    backwards: bool = False
    group: str = UNGROUPED
    filters: Mapping[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------ changing

    def toggled(self, column: str) -> View:
        """With a column that was not shown, or without one that was; the name stays."""
        if column == "name":
            return self
        if column in self.columns:
            return replace(self, columns=tuple(each for each in self.columns if each != column))
        shown = {*self.columns, column}
        return replace(self, columns=tuple(each for each in BY_ID if each in shown))

    def sorted_by(self, column: str) -> View:
        """Ordered by a column; the other way round where it already was."""
        return replace(self, sort=column, backwards=self.sort == column and not self.backwards)

    def grouped_by(self, column: str) -> View:
        """Grouped by a column; no longer where it already was."""
        return replace(self, group=UNGROUPED if self.group == column else column)

    def with_filter(self, name: str, text: str) -> View:
        """With a filter saved under a name."""
        return replace(self, filters={**self.filters, name: text})

    def without_filter(self, name: str) -> View:
        """Without that filter."""
        return replace(self, filters={key: text for key, text in self.filters.items() if key != name})

    # ------------------------------------------------------------ showing

    def ordered(
        self, servers: Sequence[ServerInfo], reached: Callable[[str], Reached]
    ) -> Sequence[ServerInfo]:
        """Servers in their order; what is equal stays by name."""
        by_name, by = BY_ID["name"].order, BY_ID[self.sort].order
        first = sorted(servers, key=lambda server: by_name(server, reached(server.name)))
        if self.sort == "name":
            return first[::-1] if self.backwards else first
        return sorted(first, key=lambda server: by(server, reached(server.name)), reverse=self.backwards)

    def rows(self, servers: Sequence[ServerInfo], folded: Collection[str]) -> Sequence[Row]:
        """The rows of ordered servers: as they are, or below a heading for each value that they are grouped by."""
        read = BY_ID[self.group].group if self.group else None
        if read is None:
            return servers
        groups: dict[str, list[ServerInfo]] = {}
        for server in servers:
            groups.setdefault(read(server), []).append(server)
        rows: list[Row] = []
        for value in sorted(groups):
            rows.append(Heading(value, len(groups[value]), value in folded))
            if value not in folded:
                rows += groups[value]
        return rows

    def below(self, heading: Heading, servers: Sequence[ServerInfo]) -> Sequence[ServerInfo]:
        """The servers of a heading, also of one that is folded."""
        read = BY_ID[self.group].group if self.group else None
        return [server for server in servers if read is not None and read(server) == heading.value]

    # ------------------------------------------------------------ kept

    def kept(self, there: Mapping[str, Any], workspace: str, was: View) -> dict[str, Any]:
        """What is kept of it beside what is `there`: filters belong to a workspace, the rest to the person. Of filters
        only those that differ from what this view `was` are changed: others may have been saved meanwhile.
        """
        saved = there.get("filters")
        every = saved if isinstance(saved, dict) else {}
        mine = {
            name: text
            for name, text in _filters(every.get(workspace)).items()
            if name not in was.filters or name in self.filters
        }
        mine |= {name: text for name, text in self.filters.items() if was.filters.get(name) != text}
        filters = {**every, workspace: mine}
        return {
            "columns": list(self.columns),
            "sort": self.sort,
            "backwards": self.backwards,
            "group": self.group,
            "filters": {path: each for path, each in filters.items() if each},
        }

    @classmethod
    def of(cls, kept: object, workspace: str) -> View:
        """From what was kept; what is not understood of it is as at first."""
        first = cls()
        if not isinstance(kept, Mapping):
            return first
        columns = kept.get("columns")
        given = columns if isinstance(columns, list) else []
        known = [each for each in given if isinstance(each, str) and each in BY_ID]
        sort, group, filters = kept.get("sort"), kept.get("group"), kept.get("filters")
        return cls(
            columns=tuple(dict.fromkeys(("name", *known))) if known else first.columns,
            sort=sort if isinstance(sort, str) and sort in BY_ID else first.sort,
            backwards=kept.get("backwards") is True,
            group=group if isinstance(group, str) and group in BY_ID and BY_ID[group].group else UNGROUPED,
            filters=_filters(filters.get(workspace) if isinstance(filters, Mapping) else None),
        )


def can_be_kept(name: str, text: str) -> bool:
    """Whether a filter is short enough, and holds nothing that cannot be shown."""
    return len(name) + len(text) <= MOST_CHARS and (name + text).isprintable()


def _filters(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    found = {
        name: text
        for name, text in value.items()
        if isinstance(name, str) and isinstance(text, str) and can_be_kept(name, text)
    }
    return dict(list(found.items())[:MOST_FILTERS])
