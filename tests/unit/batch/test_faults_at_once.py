"""A bad document gives every fault at once, each where it stands."""

from __future__ import annotations

import pytest

from core.batch.load import load_batch
from core.errors import InputError

BAD = """\
name: x
descripton: typo
params:
  v: {type: strin}
  9bad: 1
  n: {type: integer, default: "x"}
strategy: {parallel: 0, order: sideways, on_failure: stop, max_failures: "200%"}
env: {WINDLASS_X: a}
steps:
  a:
    run: echo {{ foo }} "{{ params.vv }}"
    needs: [b, zz]
  b:
    run: |
      one
      two {{ x
    needs: [{step: c, scope: servr}]
  c:
    runn: x
    on: group:web web
    needs: d
  d:
    run: x
    upload: {from: x, to: y, mode: 0644}
    timeout: 5 minutes
    retries: {attempts: 0}
    sudo: yes
    needs: e
  e: {run: hi, needs: [f], ok_exit: [a]}
  f: {run: hi, needs: [e], when: "{{ x }}", check: {run: 3}}
  "bad name": {run: x, register: 9a}
  g: {wait: {port: 99999}}
  h: {wait: {http: "http://x"}, on: all}
  i: {run: "{{ registered['nope'].output }}"}
"""

EXPECTED = [
    (2, 1, "unknown key 'descripton'"),
    (4, 13, "'strin' is none of string, integer, number, boolean or list"),
    (5, 3, "'9bad' is no name"),
    (6, 3, "default 'x' is no integer"),
    (7, 22, "parallel is 0; at least 1 is allowed"),
    (7, 32, "'sideways' is none of linear or free"),
    (7, 74, "a number of servers, or a share like"),
    (8, 1, "WINDLASS_X: names that begin with WINDLASS_ are set by the engine"),
    (11, 10, "foo is not defined in templates"),
    (11, 10, "there is no parameter 'vv'"),
    (12, 16, "there is no step 'zz'"),
    (16, 1, "template: unexpected end of template"),
    (17, 30, "'servr' is none of all or server"),
    (19, 5, "unknown key 'runn'"),
    (20, 19, "'web' is out of place: join with and, or"),
    (24, 36, 'a file mode is quoted octal text like "0644", not 644'),
    (25, 14, "'5 minutes' is no duration"),
    (26, 25, "attempts is 0; at least 1 is allowed"),
    (27, 11, "sudo is true or a user's name, not 'yes'"),
    (29, 38, "ok_exit is a whole number, not 'a'"),
    (30, 34, "write the expression without braces"),
    (30, 58, "run is text, not 3"),
    (31, 3, "'bad name' is no name"),
    (31, 34, "'9a' is no name to register"),
    (32, 20, "port is 99999; at most 65535 is allowed"),
    (33, 3, "a wait for HTTP runs on the engine"),
    (34, 12, "no step registers 'nope'"),
]


def test_every_fault_is_told_with_its_position() -> None:
    with pytest.raises(InputError) as caught:
        load_batch(BAD, "bad.yaml")
    found = [(fault.line, fault.column, fault.message) for fault in caught.value.faults]
    missing = [
        (line, column, start)
        for line, column, start in EXPECTED
        if not any((at, by) == (line, column) and message.startswith(start) for at, by, message in found)
    ]
    assert missing == [], found
    assert [(line, column) for line, column, _ in found] == sorted(
        (line, column) for line, column, _ in found
    )
    assert str(caught.value).count("bad.yaml:") >= len(EXPECTED)
    assert "did you mean description?" in str(caught.value)


def test_a_cycle_is_printed() -> None:
    with pytest.raises(InputError) as caught:
        load_batch(
            "steps:\n  a: {run: x, needs: c}\n  b: {run: x, needs: a}\n  c: {run: x, needs: b}\n", "c.yaml"
        )
    assert [str(fault) for fault in caught.value.faults] == [
        "c.yaml:2:22: steps need each other in a circle: a → c → b → a"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: {a: {run: x}, a: {run: y}}", "f.yaml:1:22: key 'a' is here twice (first at 1:9)"),
        ("steps: {a: {run: !!python/object:os.system x}}", "tags are not allowed"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"{chr(98 + n + 1)}: &{chr(98 + n + 1)} [*{chr(98 + n)}, *{chr(98 + n)}]\n" for n in range(22)), "expands to more than"),
        ("steps: &s {a: *s}", "is inside what it stands for"),
        ("[" * 60, "nested deeper than 50 levels"),
        ("steps: {a: {run: {{ x }}}}", "{{ … }} without quotes is a mapping to YAML"),
        ("steps:\n\ta: b", "spaces, never with tabs"),
        ("steps: {a: {<<: {run: x}}}", "merge keys (<<) are not allowed"),
        ("", "the document is empty"),
        ("a: 1\n---\nb: 2", "a second document"),
    ],
)  # fmt: skip
def test_hostile_and_broken_documents_are_refused_with_a_position(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        load_batch(text, "f.yaml")
    assert any(told in str(fault) for fault in caught.value.faults), caught.value
