"""One document with many different faults: all of them are told at once, in source order, each at its place."""

from __future__ import annotations

import pytest

from core.batch.load import load_batch
from core.errors import Fault, InputError

# Each mark «n» stands before the character that fault n is told at; marks are taken out before loading.
MARKED = """\
«1»descripton: a release
params:
  version: {type: «2»text}
  «3»dry-run: {type: boolean, default: false}
strategy:
  parallel: «4»0
  order: «5»linaer
  max_failures: «6»ten
steps:
  prepare:
    on: group:web or«7»
    run: mkdir -p "releases/{{ params.version }}"
    «8»comand: true
    retries: {attempts: «9»several, delay: «10»soon}
  fetch:
    needs: [prepare, «11»prepair]
    run: |
      set -e
«12»      ./fetch {{ params.version
    timeout: «13»5 minutes
  link:
    needs: [fetch]
    on: «15»web
    run: «16»ln -s {{ parms.version }} site
    sudo: «17»yes
  page:
    upload:
      from: files/index.html
      to: index.html
      mode: «18»644
      template: «19»no
  «20»bad name:
    run: "true"
  one:
    needs: «21»three
    run: "true"
  two:
    needs: [one]
    run: "true"
  three:
    needs: [two]
    run: "true"
  reads:
    needs: [{step: two, scope: «22»each}]
    run: «23»echo {{ registered['address'].output }}
    check: «24»test {{ params.versoin }} = 1
  doubled:
    needs: [two, «25»two]
    run: "true"
  probe:
    needs: [two]
    wait: {http: "http://127.0.0.1/"}
  after:
    needs: [{step: «26»probe, scope: server}]
    run: "true"
    when: «27»params.version ==
  last:
    needs: [after, «14»last]
    run: "true"
"""
TOLD = {
    1: "unknown key 'descripton' (did you mean description?)",
    2: "'text' is none of string, integer, number, boolean or list",
    3: "'dry-run' is no name: letters, digits and _, not beginning with a digit",
    4: "parallel is 0; at least 1 is allowed",
    5: "'linaer' is none of linear or free (did you mean linear?)",
    6: "a number of servers, or a share like \"10%\", not 'ten'",
    7: "the selector ends too early",
    8: "unknown key 'comand'",
    9: "attempts is a whole number, not 'several'",
    10: "'soon' is no duration; write 30, 30s, 500ms, 5m or 1h30m",
    11: "there is no step 'prepair' (did you mean prepare?)",
    12: "template: ",
    13: "'5 minutes' is no duration; write 30, 30s, 500ms, 5m or 1h30m",
    14: "step last needs itself",
    15: "'web' selects nothing: did you mean group:web or name:web?",
    16: "parms is not defined in templates (did you mean params?)",
    17: "sudo is true or a user's name, not 'yes'",
    18: 'a file mode is quoted octal text like "0644", not 644',
    19: "template is true or false, not 'no' (YAML 1.2 reads yes and no as text; write true or false)",
    20: "'bad name' is no name: letters, digits, . _ - and at most 64 of them, beginning with a letter or digit",
    21: "steps need each other in a circle: ",
    22: "'each' is none of all or server",
    23: "no step registers 'address'",
    24: "there is no parameter 'versoin' (did you mean version?)",
    25: "'two' is needed twice",
    26: "after and probe share no server: one of them runs on the engine (use scope: all)",
    27: "template: ",
}


def unmarked() -> tuple[str, dict[int, tuple[int, int]]]:
    """The document without its marks, and where they stood as (line, column)."""
    places: dict[int, tuple[int, int]] = {}
    text = MARKED
    for number in TOLD:
        offset = text.index(f"«{number}»")
        text = text.replace(f"«{number}»", "")
        places[number] = (text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)
    return text, places


@pytest.fixture(scope="module")
def told() -> tuple[Fault, ...]:
    with pytest.raises(InputError) as raised:
        load_batch(unmarked()[0], "release.yaml")
    return raised.value.faults


@pytest.mark.parametrize("number", TOLD)
def test_each_fault_is_told_at_its_place(told: tuple[Fault, ...], number: int) -> None:
    place = unmarked()[1][number]
    here = [str(fault) for fault in told if (fault.line, fault.column) == place]
    beginning = f"release.yaml:{place[0]}:{place[1]}: {TOLD[number]}"
    assert any(text.startswith(beginning) for text in here), (beginning, [str(fault) for fault in told])


def test_nothing_else_is_told_and_in_source_order(told: tuple[Fault, ...]) -> None:
    assert len(TOLD) >= 20
    assert [(fault.line, fault.column) for fault in told] == sorted(unmarked()[1].values())


def test_the_cycle_is_printed(told: tuple[Fault, ...]) -> None:
    (cycle,) = [fault.message for fault in told if "circle" in fault.message]
    assert cycle.endswith(": one → three → two → one")


def test_the_error_as_a_person_reads_it(told: tuple[Fault, ...]) -> None:
    error = InputError("release.yaml", faults=told)
    assert len(str(error).splitlines()) == len(TOLD) + 1
