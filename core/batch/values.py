"""Values as people write them in batch documents: durations, shares, file modes.

Each reader raises ValueError with a sentence for a person.
"""

from __future__ import annotations

import re

DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?\Z")
MODE = re.compile(r"0?[0-7]{3,4}\Z")
SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%\Z")
MAX_SECONDS = 365 * 86400.0
MIN_SECONDS = 0.01


class Misread(ValueError):
    """Several things wrong with one value: (path below it, whether its key is meant, message) of each."""

    def __init__(self, *found: tuple[tuple[str | int, ...], bool, str]) -> None:
        super().__init__("; ".join(message for _, _, message in found))
        self.found = found


def seconds(value: object) -> float:
    """Seconds from 30, 1.5, "30s", "500ms", "5m" or "1h30m"."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a duration is a number of seconds or text like 30s, 5m, 1h30m")
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            total = float(text)
        else:
            match = DURATION.match(text)
            if not text or match is None:
                raise ValueError(f"{value!r:.60} is no duration; write 30, 30s, 500ms, 5m or 1h30m")
            hours, minutes, secs, millis = (float(part or 0) for part in match.groups())
            total = hours * 3600 + minutes * 60 + secs + millis / 1000
    else:
        total = float(value)
    if not 0 <= total <= MAX_SECONDS:
        raise ValueError("a duration lies between 0 and a year")
    return total


def some_seconds(value: object) -> float:
    """Seconds, and not none: a timeout or an interval of 0 would mean never, or always."""
    total = seconds(value)
    if total < MIN_SECONDS:
        raise ValueError(f"{value!r} is too short; at least 10ms is allowed")
    return total


def file_mode(value: object) -> int:
    """Permission bits from text like "0644"."""
    if not isinstance(value, str) or not MODE.match(value):
        raise ValueError(f'a file mode is quoted octal text like "0644", not {value!r:.60}')
    return int(value, 8)


def share(value: object) -> float:
    """A share between 0 and 1 from text like "10%"."""
    match = SHARE.match(value.strip()) if isinstance(value, str) else None
    if match is None or float(match.group(1)) > 100:
        raise ValueError(f'a number of servers, or a share like "10%", not {value!r:.60}')
    return float(match.group(1)) / 100
