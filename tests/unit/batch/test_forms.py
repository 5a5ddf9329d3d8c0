"""Every form that a person may write, and the one form it is read into."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.batch.model import Allowance, Guard, HttpSpec, Need, Register, Retries, Undo, UploadSpec
from tests.unit.batch.support import batch, faults, load, only, step


def test_a_step_without_more_has_the_defaults() -> None:
    one = step("run: echo")
    assert (one.name, one.kind, one.run, one.on, one.needs, one.when) == (
        "one",
        "run",
        "echo",
        "all",
        None,
        None,
    )
    assert (one.check, one.verify, one.undo, one.timeout_s, one.sudo) == (None, None, None, None, None)
    assert (one.register_as, one.ok_exit, one.parallel, one.max_failures, one.env) == (
        None,
        (0,),
        None,
        None,
        {},
    )
    assert one.retries == Retries()
    assert (one.retries.attempts, one.retries.delay_s, one.retries.backoff) == (1, 1.0, 2.0)
    assert (one.retries.max_delay_s, one.retries.jitter) == (60.0, 0.1)
    assert one.changes_something and not one.on_engine


def test_a_batch_without_more_has_the_defaults() -> None:
    whole = load("steps: {a: {run: b}}")
    strategy = whole.batch.strategy
    assert (strategy.parallel, strategy.order, strategy.on_failure) == (50, "linear", "stop")
    assert (strategy.per_server, strategy.undo_failed) == (1, True)
    assert strategy.max_failures.of(1000) == 0
    assert (whole.batch.name, whole.batch.description, whole.batch.params, whole.batch.env) == (
        "batch",
        "",
        {},
        {},
    )
    assert load("name: other\nsteps: {a: {run: b}}").batch.name == "other"


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError):
        step("run: echo").run = "rm"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30", 30), ("1.5", 1.5), ('"30"', 30), ("30s", 30), ("500ms", 0.5), ("5m", 300), ("1h30m", 5400),
     ("1h2m3s4ms", 3723.004), ("2.5s", 2.5), ("24h", 86400)],
)  # fmt: skip
def test_durations(written: str, seconds: float) -> None:
    assert step(f"run: echo\ntimeout: {written}").timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["1d", "5 m", "m5", "-1", '""', "soon", "1m1h", "9000h", "true", "[1]", "1e9", "1,5"]
)
def test_what_is_no_duration(written: str) -> None:
    assert (
        only(f"steps:\n  one:\n    run: echo\n    timeout: {written}\n").startswith("4:14: ")
        or "[" in written
    )


def test_guards_and_undo_in_both_forms() -> None:
    one = step("run: echo\ncheck: test -d x\nverify: {run: test -f y, timeout: 10s}\nundo: rm x\n")
    assert one.check == Guard(run="test -d x")
    assert one.verify is not None and (one.verify.run, one.verify.timeout_s) == ("test -f y", 10.0)
    assert one.undo == Undo(run="rm x")
    undo = step("run: echo\nundo: {run: rm x, timeout: 2m, retries: 3}").undo
    assert undo is not None and undo.retries is not None
    assert (undo.timeout_s, undo.retries.attempts) == (120.0, 3)


def test_retries_in_both_forms() -> None:
    assert step("run: echo\nretries: 3").retries.attempts == 3
    full = step(
        "run: echo\nretries: {attempts: 4, delay: 100ms, backoff: 3, max_delay: 1m, jitter: 0}"
    ).retries
    assert (full.attempts, full.delay_s, full.backoff, full.max_delay_s, full.jitter) == (
        4,
        0.1,
        3.0,
        60.0,
        0.0,
    )


def test_needs_in_every_form() -> None:
    def needs(written: str) -> object:
        text = f"steps:\n  a: {{run: x}}\n  b: {{run: x}}\n  c:\n    run: x\n    needs: {written}\n"
        return batch(text).steps["c"].needs

    assert needs("a") == (Need(step="a"),)
    assert needs("[]") == ()
    assert needs("[a, b]") == (Need(step="a"), Need(step="b"))
    assert needs("{step: a, scope: server}") == (Need(step="a", scope="server"),)
    assert needs("[a, {step: b, kind: soft}]") == (Need(step="a"), Need(step="b", kind="soft"))
    assert needs("[{step: gone, kind: optional}]") == (Need(step="gone", kind="optional"),)


def test_sudo_register_and_exit_statuses() -> None:
    assert step("run: x\nsudo: true").sudo == "root"
    assert step("run: x\nsudo: deploy").sudo == "deploy"
    assert step("run: x\nsudo: false").sudo is None
    assert step("run: x\nregister: port").register_as == Register(name="port")
    assert step("run: x\nregister: {name: key, sensitive: true}").register_as == Register(
        name="key", sensitive=True
    )
    assert step("run: x\nok_exit: 3").ok_exit == (3,)
    assert step("run: x\nok_exit: [0, 3]").ok_exit == (0, 3)


def test_uploads() -> None:
    one = step('upload: {from: files/a, to: /etc/a, mode: "0600", template: true}')
    assert one.kind == "upload" and one.upload is not None
    assert (one.upload.source, one.upload.target, one.upload.mode, one.upload.template) == (
        "files/a",
        "/etc/a",
        0o600,
        True,
    )
    plain = step("upload: {from: a, to: b}").upload
    assert plain is not None and (plain.mode, plain.template) == (0o644, False)
    assert isinstance(plain, UploadSpec)


def test_waits() -> None:
    port = step('wait: {port: 8080, host: "{{ server.address }}", every: 500ms}')
    assert port.kind == "wait" and port.wait is not None and not port.changes_something and not port.on_engine
    assert (port.wait.port, port.wait.host, port.wait.every_s) == (8080, "{{ server.address }}", 0.5)
    command = step("wait: {command: test -f ready}").wait
    assert command is not None and (command.command, command.host, command.every_s) == (
        "test -f ready",
        "127.0.0.1",
        1.0,
    )
    short = step('wait: {http: "http://127.0.0.1/"}')
    assert short.on_engine and short.wait is not None
    assert short.wait.http == HttpSpec(url="http://127.0.0.1/")
    full = step("wait: {http: {url: http://x/, status: [200, 204], contains: ok, timeout: 2s}}").wait
    assert full is not None and full.http is not None
    assert (full.http.status, full.http.contains, full.http.timeout_s) == ((200, 204), "ok", 2.0)
    one = step("wait: {http: {url: http://x/, status: 204}}").wait
    assert one is not None and one.http is not None and one.http.status == (204,)


@pytest.mark.parametrize(
    ("written", "of"), [("0", {100: 0}), ("3", {1: 3, 100: 3}), ('"10%"', {9: 0, 10: 1, 19: 1, 30: 3}),
                        ('"29%"', {100: 29}), ('"2.5%"', {39: 0, 40: 1}), ('"100%"', {7: 7}), ('"0%"', {50: 0})],
)  # fmt: skip
def test_allowances_round_shares_down(written: str, of: dict[int, int]) -> None:
    allowance = batch(
        f"strategy: {{max_failures: {written}}}\nsteps: {{a: {{run: x}}}}"
    ).strategy.max_failures
    assert isinstance(allowance, Allowance)
    assert {servers: allowance.of(servers) for servers in of} == of


def test_params_in_both_forms() -> None:
    params = batch(
        """
        params:
          version: {type: string, pattern: "[0-9.]+", description: which}
          workers: {type: integer, default: 4, min: 1, max: 8}
          ratio: 0.5
          debug: false
          names: [a, b]
          word: hello
          level: {default: low, choices: [low, high]}
        steps: {a: {run: x}}
        """
    ).params
    assert {name: (param.type, param.default) for name, param in params.items()} == {
        "version": ("string", None),
        "workers": ("integer", 4),
        "ratio": ("number", 0.5),
        "debug": ("boolean", False),
        "names": ("list", ["a", "b"]),
        "word": ("string", "hello"),
        "level": ("string", "low"),
    }
    assert [name for name, param in params.items() if param.required] == ["version"]
    assert params["level"].choices == ("low", "high")


def test_strategy_and_environment() -> None:
    whole = batch(
        """
        strategy: {parallel: 5, order: free, on_failure: rollback, max_failures: 2, per_server: 3, undo_failed: false}
        env: {A: "1", B: "{{ server.name }}"}
        steps:
          a: {run: x, env: {A: "2"}, parallel: 2, max_failures: "50%"}
        """
    )
    strategy = whole.strategy
    assert (strategy.parallel, strategy.order, strategy.on_failure, strategy.per_server) == (
        5,
        "free",
        "rollback",
        3,
    )
    assert (strategy.max_failures.of(100), strategy.undo_failed) == (2, False)
    assert whole.env == {"A": "1", "B": "{{ server.name }}"}
    assert (whole.steps["a"].env, whole.steps["a"].parallel) == ({"A": "2"}, 2)


def test_the_digest_is_that_of_the_text() -> None:
    import hashlib

    text = "steps: {a: {run: ünï}}"
    assert load(text).digest == hashlib.sha256(text.encode()).hexdigest()
    assert load(text + "\n").digest != load(text).digest


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("on: all", "a step does exactly one of run, upload, wait; it has none"),
        ("{run: x, upload: {from: a, to: b}}", "a step does exactly one of run, upload, wait; not run and upload"),
        ("{run: ''}", "run is empty"),
        ("{run: 5}", "run is text, not 5"),
        ("{run: [a]}", "run is text, not a list"),
        ("{run: x, comand: y}", "unknown key 'comand'"),
        ("{run: x, retires: 3}", "unknown key 'retires' (did you mean retries?)"),
        ("{run: x, retries: {atempts: 3}}", "unknown key 'atempts' (did you mean attempts?)"),
        ("{run: x, retries: 0}", "at least 1 is allowed"),
        ("{run: x, retries: {jitter: 2}}", "jitter is 2; at most 1 is allowed"),
        ("{run: x, parallel: 0}", "parallel is 0; at least 1 is allowed"),
        ("{run: x, parallel: many}", "parallel is a whole number, not 'many'"),
        ("{run: x, parallel: true}", "parallel is a whole number"),
        ("{run: x, sudo: yes}", "sudo is true or a user's name, not 'yes'"),
        ("{run: x, sudo: 'a b'}", "sudo is true or a user's name, not 'a b'"),
        ("{run: x, sudo: '-u'}", "sudo is true or a user's name, not '-u'"),
        ("{run: x, register: 1st}", "no name to register"),
        ("{run: x, register: {name: a, sensitive: no}}", "sensitive is true or false, not 'no' (YAML 1.2"),
        ("{run: x, ok_exit: [a]}", "ok_exit is a whole number, not 'a'"),
        ("{run: x, env: {1A: b}}", "'1A' is no name of an environment variable"),
        ("{run: x, env: {WINDLASS_RUN: b}}", "names that begin with WINDLASS_ are set by the engine"),
        ("{run: x, env: {A: [b]}}", "A: a variable is text, not"),
        ("{run: x, env: {A: true}}", "A: a variable is text, not True"),
        ("{run: x, max_failures: lots}", "a number of servers, or a share like \"10%\", not 'lots'"),
        ("{run: x, max_failures: '101%'}", "a number of servers, or a share"),
        ("{run: x, max_failures: -1}", "at least 0 is allowed"),
        ("{run: x, check: {timeout: 1s}}", "run is missing"),
        ("{run: x, needs: [{scope: all}]}", "step is missing"),
        ("{run: x, needs: {step: a, scope: both, kind: optional}}", "'both' is none of all or server"),
        ("{run: x, needs: {step: a, scope: al, kind: optional}}", "did you mean all?"),
        ("{upload: {from: a}}", "to is missing"),
        ("{upload: {from: ~/a, to: b}}", "must be a path from the workspace"),
        ("{upload: {from: a, to: b, mode: 0644}}", "a file mode is quoted octal text like \"0644\", not 644"),
        ("{upload: {from: a, to: b, mode: '0999'}}", "a file mode is quoted octal text"),
        ("{upload: {from: a, to: b, template: yes}}", "template is true or false, not 'yes'"),
        ("{wait: {}}", "wait for exactly one of port, command, http"),
        ("{wait: {port: 1, command: x}}", "wait for exactly one of port, command, http"),
        ("{wait: {port: 70000}}", "port is 70000; at most 65535 is allowed"),
        ("{wait: {port: 80}, check: x}", "a wait changes nothing, so it has no check"),
        ("{wait: {port: 80}, undo: x}", "a wait changes nothing, so it has no undo"),
        ("{wait: {http: http://x/}, on: all}", "a wait for HTTP runs on the engine, once: take `on` away"),
        ("{wait: {http: {status: 200}}}", "url is missing"),
    ],
)  # fmt: skip
def test_what_a_step_may_not_say(body: str, told: str) -> None:
    found = faults(f"steps:\n  one: {body}\n" if body[0] == "{" else f"steps:\n  one:\n    {body}\n")
    assert any(told in fault for fault in found), found
    assert all(int(fault.split(":")[0]) in (2, 3) for fault in found), found


@pytest.mark.parametrize(
    ("param", "told"),
    [
        ("{type: text}", "'text' is none of string, integer, number, boolean or list"),
        ("{type: integer, default: '4'}", "default '4' is no integer"),
        ("{type: integer, default: true}", "default True is no integer"),
        ("{type: string, default: 1.10}", "default 1.1 is no string"),
        ("{type: list, default: [1]}", "default [1] is no list of strings"),
        ("{type: integer, default: 9, max: 8}", "default 9 is above 8"),
        ("{type: number, default: 0.5, min: 1}", "default 0.5 is below 1"),
        ("{default: medium, choices: [low, high]}", "default 'medium' is none of low, high"),
        ("{default: x, pattern: '[0-9]+'}", "default 'x' does not match [0-9]+"),
        ("{pattern: '['}", "pattern is no regular expression"),
        ("{defualt: x}", "unknown key 'defualt' (did you mean default?)"),
    ],
)
def test_what_a_parameter_may_not_say(param: str, told: str) -> None:
    assert told in only(f"params:\n  p: {param}\nsteps: {{a: {{run: x}}}}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "1:1: a batch is a mapping with steps"),
        ("text\n", "1:1: a batch is a mapping with steps"),
        ("name: x\n", "steps is missing"),
        ("steps: {}\n", "steps is empty: a batch has at least one step"),
        ("steps: [a]\n", "steps is a mapping, not a list"),
        ("steps: {a: run}\n", "a is a mapping, not 'run'"),
        ("steps: {a: }\n", "a is a mapping, not nothing"),
        ("steps: {-a: {run: x}}\n", "'-a' is no name"),
        ("steps: {a/b: {run: x}}\n", "'a/b' is no name"),
        ("steps: {" + "a" * 65 + ": {run: x}}\n", "is no name"),
        ("params: {a-b: 1}\nsteps: {a: {run: x}}\n", "'a-b' is no name: letters, digits and _"),
        ("strategy: {order: random}\nsteps: {a: {run: x}}\n", "'random' is none of linear or free"),
        ("strategy: fast\nsteps: {a: {run: x}}\n", "strategy is a mapping, not 'fast'"),
        ("stratgy: {}\nsteps: {a: {run: x}}\n", "unknown key 'stratgy' (did you mean strategy?)"),
    ],
)
def test_what_a_document_may_not_say(text: str, told: str) -> None:
    assert any(told in fault for fault in faults(text)), faults(text)


@pytest.mark.parametrize("name", ["a", "1", "A.b-c_d", "a" * 64, "true", "on"])
def test_names_of_steps(name: str) -> None:
    assert list(batch(f"steps: {{{name}: {{run: x}}}}").steps) == [name]
