"""What a document refers to: parameters, results, names in templates, selectors; and where faults are told."""

from __future__ import annotations

import pytest

from tests.unit.batch.support import faults, only


def test_a_parameter_that_is_not_declared() -> None:
    text = 'params: {version: "1"}\nsteps:\n  a:\n    run: echo {{ params.verison }}\n'
    assert only(text) == "4:10: there is no parameter 'verison' (did you mean version?)"
    assert faults(text.replace("verison", "version")) == []


@pytest.mark.parametrize(
    "part",
    [
        "run: echo {{ params.nope }}",
        "{run: x, check: 'test {{ params.nope }}'}",
        "{run: x, verify: {run: 'test {{ params.nope }}'}}",
        "{run: x, undo: 'rm {{ params.nope }}'}",
        "{run: x, env: {A: '{{ params.nope }}'}}",
        "{run: x, when: params.nope == 1}",
        "{upload: {from: 'a{{ params.nope }}', to: b}}",
        "{upload: {from: a, to: 'b{{ params.nope }}'}}",
        "{wait: {port: 1, host: '{{ params.nope }}'}}",
        "{wait: {command: 'x {{ params.nope }}'}}",
        "{wait: {http: 'http://{{ params.nope }}/'}}",
        "{wait: {http: {url: 'http://x/', contains: '{{ params.nope }}'}}}",
        "{run: \"{{ params['nope'] }}\"}",
    ],
)
def test_every_place_where_templates_are_is_checked(part: str) -> None:
    written = f"{{{part}}}" if part[0] != "{" else part
    assert "there is no parameter 'nope'" in only(
        f"steps:\n  a: {written}\n".replace(
            "{run: echo {{ params.nope }}}", "{run: 'echo {{ params.nope }}'}"
        )
    )


def test_the_environment_of_the_document_is_checked() -> None:
    text = "env:\n  A: '{{ params.nope }}'\nsteps: {a: {run: x}}\n"
    assert only(text).startswith("2:6: there is no parameter 'nope'")


def test_names_that_templates_do_not_have() -> None:
    text = "steps:\n  a:\n    run: echo {{ sever.name }} {{ foo }}\n"
    assert faults(text) == [
        "3:10: foo is not defined in templates "
        "(known are config, env, params, registered, run, server, servers, step)",
        "3:10: sever is not defined in templates (did you mean server?)",
    ]


def test_names_that_a_template_sets_itself_are_known() -> None:
    text = """
    steps:
      a:
        run: |
          {% set port = 80 %}{% for name in servers %}{{ name }}:{{ port }} {% endfor %}
    """
    assert faults(text) == []


def test_a_template_that_cannot_be_read_is_told_at_its_line_of_a_block() -> None:
    text = "steps:\n  a:\n    run: |\n      one\n      {{ params. }}\n      three\n"
    assert only(text).startswith("5:1: template: ")
    text = "steps:\n  a:\n    run: |-\n      one\n      two {% if x %}\n"
    assert only(text).startswith("5:1: template: ")


def test_an_unknown_filter_and_a_call() -> None:
    assert "No filter named 'uper'" in only(
        "steps:\n  a:\n    run: echo {{ server.name | uper }}\n"
    ) or "uper" in only("steps:\n  a:\n    run: echo {{ server.name | uper }}\n")


def test_conditions_are_expressions() -> None:
    assert "without braces" in only("steps:\n  a: {run: x, when: '{{ params.x }}'}\n")
    assert only("steps:\n  a:\n    run: x\n    when: params.x ==\n").startswith("4:11: template: ")
    assert (
        faults("params: {x: 1}\nsteps:\n  a: {run: x, when: params.x == 1 and server.name in servers}\n")
        == []
    )


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("web", "3:9: 'web' selects nothing: did you mean group:web or name:web?"),
        ("group:web or web", "3:22: 'web' selects nothing"),
        ("'group:web or web'", "3:23: 'web' selects nothing"),
        ("(group:web", "3:9: ( without )"),
        ("'group:'", "3:9: 'group:' selects nothing"),
    ],
)
def test_selectors_are_told_at_the_word_that_is_wrong(on: str, told: str) -> None:
    assert only(f"steps:\n  a:\n    on: {on}\n    run: x\n").startswith(told)


# ---------------------------------------------------------------- results

RESULTS = """\
steps:
  one: {run: x, register: found}
  two: {run: x, needs: []}
  three:
    needs: [%s]
    run: x
    env: {A: "%s"}
"""
SAME, OTHER = "{{ registered['found'].output }}", "{{ servers['db-1'].registered['found'].output }}"


def test_a_result_comes_from_a_step_that_is_waited_for() -> None:
    assert faults(RESULTS % ("one", SAME)) == []
    assert only(RESULTS % ("two", SAME)) == (
        "7:14: 'found' comes from step one, which three does not wait for (add it to needs)"
    )


def test_a_result_that_nobody_registers() -> None:
    assert only(RESULTS % ("one", SAME.replace("found", "fuond"))) == (
        "7:14: no step registers 'fuond' (did you mean found?)"
    )


def test_results_of_other_servers_need_a_barrier() -> None:
    assert faults(RESULTS % ("one", OTHER)) == []
    assert only(RESULTS % ("{step: one, scope: server}", OTHER)) == (
        "7:14: 'found' of another server needs step one with scope all"
    )
    assert faults(RESULTS % ("{step: one, scope: server}", SAME)) == []


def test_a_barrier_anywhere_between_is_enough() -> None:
    text = """\
    strategy: {order: free}
    steps:
      one: {run: x, register: found}
      two: {run: x, needs: [one]}
      three: {run: x}
      four: {run: "echo {{ servers['a'].registered['found'].output }}"}
    """
    assert faults(text) == []
    assert "scope all" in only(text.replace(", needs: [one]", ""))


def test_a_server_that_is_worked_out_counts_as_another() -> None:
    every = "{% for s in servers %}{{ servers[s].registered['found'].output }}{% endfor %}"
    assert faults(RESULTS % ("one", every)) == []
    assert "scope all" in only(RESULTS % ("{step: one, scope: server}", every))


def test_a_name_is_registered_once() -> None:
    text = "steps:\n  a: {run: x, register: r}\n  b:\n    run: x\n    register: r\n"
    assert only(text) == "5:15: step a registers 'r' already"


def test_faults_of_form_and_of_reference_come_together() -> None:
    text = """\
    steps:
      a:
        run: echo {{ params.nope }}
        timeout: soon
      b:
        rnu: x
        needs: [c]
    """
    assert [fault.split(": ")[0] for fault in faults(text)] == ["3:10", "4:14", "6:5", "7:13"]
