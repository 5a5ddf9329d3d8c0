"""Documents that are wrong in ways that once slipped through, ended in a traceback, or hid other faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.batch.load import load_batch_file
from core.errors import InputError
from tests.unit.batch.support import faults, load, only, step


def test_faults_of_form_do_not_hide_the_others() -> None:
    text = """\
    steps:
      a:
        run: x
        run: y
        timeout: !!str soon
      b:
        rnu: z
        needs: [c]
        <<: {sudo: true}
    """
    assert [fault.split(": ")[0] for fault in faults(text)] == ["4:5", "5:14", "5:14", "7:5", "8:13", "9:5"]


def test_braces_without_quotes_are_read_as_they_were_meant_and_told() -> None:
    found = faults(
        "steps:\n  a:\n    run: {{ params.x }}\n    timeout: soon\n  b: {run: x, env: {A: {{ server.name }}}}\n"
    )
    assert [fault.split(" (")[0] for fault in found] == [
        "3:10: there is no parameter 'x'",
        "3:10: {{ … }} without quotes is a mapping to YAML",
        "4:14: 'soon' is no duration; write 30, 30s, 500ms, 5m or 1h30m",
        "5:24: {{ … }} without quotes is a mapping to YAML",
    ]
    assert "(write it quoted: run: '{{ params.x }}')" in found[1]


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ("run: {{ params.x }}/bin", "run: '{{ params.x }}/bin'"),
        ("run: {{ params['x'] }}", "run: \"{{ params['x'] }}\""),
    ],
)
def test_the_line_is_shown_quoted(line: str, quoted: str) -> None:
    assert f"write it quoted: {quoted}" in only(f"params: {{x: 1}}\nsteps:\n  a:\n    {line}\n")


def test_collections_as_keys_are_told_and_passed_over() -> None:
    found = faults("steps:\n  a: {run: x}\n? [b, c]\n: {d: e}\nstepz: 1\n")
    assert [fault.split(" (")[0] for fault in found] == [
        "3:3: a key must be a plain word, not a mapping or a list",
        "5:1: unknown key 'stepz'",
    ]


def test_depth_counts_through_aliases() -> None:
    lines = ["x0: &a0 " + "[" * 40 + "]" * 40]
    lines += [f"x{n}: &a{n} " + "[" * 40 + f"*a{n - 1}" + "]" * 40 for n in range(1, 60)]
    assert "nested deeper than 50 levels" in faults("\n".join(lines) + "\nsteps: {a: {run: x}}\n")[0]


@pytest.mark.parametrize("number", ["0x" + "f" * 400, "0o" + "7" * 9000, "9" * 400, "1e999", "-1e999"])
@pytest.mark.parametrize("key", ["timeout", "parallel", "max_failures", "retries", "ok_exit"])
def test_numbers_beyond_all_measure(key: str, number: str) -> None:
    assert only(f"steps:\n  a:\n    run: x\n    {key}: {number}\n").startswith(f"4:{len(key) + 7}: ")


@pytest.mark.parametrize("escape", ["\\0", "\\ud800", "\\udfff"])
def test_texts_that_no_command_line_can_hold(escape: str) -> None:
    assert only(f'steps:\n  a:\n    run: "x{escape}y"\n').startswith("3:10: a text cannot hold ")


def test_an_escape_that_stands_for_no_character() -> None:
    assert only('steps:\n  a:\n    run: "\\U00110000"\n').startswith("3:5: not YAML: ")


def test_yaml_1_1_is_refused() -> None:
    assert only("%YAML 1.1\n---\nsteps: {a: {run: x}}\n").startswith("2:1: YAML 1.1 is not read")
    assert faults("%YAML 1.2\n---\nsteps: {a: {run: x}}\n") == []


def test_a_folder_is_no_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        load_batch_file(tmp_path)


# ---------------------------------------------------------------- keys and values


@pytest.mark.parametrize("key", ["timeout_s", "register_as", "name", "_name"])
def test_names_of_the_program_are_no_keys(key: str) -> None:
    assert only(f"steps:\n  a:\n    run: x\n    {key}: b\n").startswith(f"4:5: unknown key '{key}'")


def test_names_of_the_program_are_no_keys_of_uploads_and_parameters() -> None:
    assert "unknown key 'source'" in " ".join(faults("steps: {a: {upload: {source: x, to: y}}}"))
    assert "unknown key 'required'" in only("params: {p: {required: true, default: x}}\nsteps: {a: {run: x}}")


@pytest.mark.parametrize(
    "key", ["check", "verify", "undo", "when", "timeout", "sudo", "needs", "register", "upload"]
)
def test_a_key_without_a_value_is_no_guard(key: str) -> None:
    assert only(f"steps:\n  a:\n    run: x\n    {key}:\n").startswith(f"4:5: {key} has no value")


def test_whole_sections_may_be_empty() -> None:
    assert faults("params:\nstrategy:\nenv:\nsteps: {a: {run: x}}\n") == []


@pytest.mark.parametrize("number", ["1.10", "012", "1e3", "8080", "true"])
def test_a_variable_is_text_and_never_a_number_of_another_spelling(number: str) -> None:
    assert "is text, not" in only(f"steps:\n  a:\n    run: x\n    env: {{A: {number}}}\n")


def test_every_variable_that_is_wrong_is_told_at_its_place() -> None:
    found = faults("steps:\n  a:\n    run: x\n    env:\n      1A: a\n      B: [c]\n      WINDLASS_X: d\n")
    assert [fault.split(" ")[0] for fault in found] == ["5:7:", "6:7:", "7:7:"]


def test_every_fault_of_an_upload_is_told_at_its_place() -> None:
    found = faults("steps:\n  a:\n    upload:\n      from: ~/x\n      to: y/\n      mode: 0644\n")
    assert [fault.split(" ")[0] for fault in found] == ["4:13:", "5:11:", "6:13:"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a/b\nsteps: {a: {run: x}}", "1:7: a batch's name cannot hold '/'"),
        ("steps:\n  engine: {run: x}", "2:3: 'engine' is reserved"),
        ("steps:\n  a: {run: x, timeout: 0}", "2:24: 0 is too short"),
        ("steps:\n  a: {wait: {port: 1, every: 0}}", "2:30: 0 is too short"),
        ("steps:\n  a: {run: x, ok_exit: 256}", "2:24: ok_exit is 256; at most 255 is allowed"),
        (
            "params:\n  p: {type: integer, choices: [1, two]}\nsteps: {a: {run: x}}",
            "2:35: choice 'two' is no integer",
        ),
        (
            "params:\n  p: {type: integer, pattern: x}\nsteps: {a: {run: x}}",
            "2:31: only a string has a pattern",
        ),
        ("params:\n  p: {min: 1}\nsteps: {a: {run: x}}", "2:12: only a number has a min"),
        ("params:\n  p: {type: number, min: 2, max: 1}\nsteps: {a: {run: x}}", "2:34: max 1 is below min 2"),
        ("steps: {a: {run: 5}}", '1:18: run is text, not 5 (quote it: "5")'),
    ],
)
def test_values_that_make_no_sense(text: str, told: str) -> None:
    assert only(text).startswith(told)


def test_a_long_value_is_not_repeated_whole() -> None:
    assert all(len(fault) < 400 for fault in faults(f"steps:\n  a:\n    run: x\n    timeout: {'x' * 5000}\n"))
    assert all(
        len(fault) < 400 for fault in faults(f"strategy: {{order: {'x' * 5000}}}\nsteps: {{a: {{run: x}}}}\n")
    )


def test_a_step_still_knows_its_name() -> None:
    assert step("run: x").name == "one"
    assert load("name: b\nsteps: {a: {run: x}}").batch.name == "b"
