"""Layers: which wins, how they merge, what each source may say, and where everything stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.config import paths
from core.config.load import BASE, Config, Given, environment_names, load_config
from core.errors import Fault, InputError
from tests.unit.config.support import Files

PROD = "config/environments/prod.yaml"


def faults_of(caught: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [str(fault) for fault in caught.value.faults]


def chain(config: Config, path: str) -> list[str]:
    return [
        f"{link.entry.origin} {link.entry.data()!r}"
        + (f" hides {paths.show(link.hides)}" if link.hides else "")
        for link in config.chain(paths.parse(path))
    ]


def data(config: Config) -> dict:
    return {key: value for key, value in config.root.data().items() if key != "app"}


def test_later_wins(files: Files) -> None:
    files.base("web: {port: 2, a: base}\n").environment("prod", "web:\n  port: 3\n")
    user = files.user("web:\n  port: 1\n  b: user\n")
    environ = {"WINDLASS__WEB__PORT": "4", "WINDLASS_WORKSPACE": "no layer", "HOME": "neither"}
    steps = [
        (files.load(user=user), 2),
        (files.load("prod", user=user), 3),
        (files.load("prod", user=user, environ=environ), 4),
        (files.load("prod", "web.port=5", user=user, environ=environ), 5),
        (files.load("prod", "web.port=5", texts=("web.port=6",), user=user, environ=environ), "6"),
    ]
    for config, port in steps:
        assert data(config) == {"web": {"port": port, "b": "user", "a": "base"}}
    assert chain(steps[-1][0], "web.port") == [
        "--set-string web.port:1:1 '6'",
        "--set web.port:1:1 5",
        "WINDLASS__WEB__PORT:1:1 4",
        f"{PROD}:2:9 3",
        f"{BASE}:1:13 2",
        f"{user}:2:9 1",
    ]


def test_mappings_merge_and_everything_else_replaces(files: Files) -> None:
    files.base("a: {x: 1, y: {z: 2}}\nhosts: [one, two]\nt: {k: v}\nu: 1\n")
    files.environment("prod", "a: {y: {w: 3}}\nhosts: [three]\nt: text\nu: {k: v}\n")
    assert data(files.load("prod")) == {
        "a": {"x": 1, "y": {"z": 2, "w": 3}},
        "hosts": ["three"],
        "t": "text",
        "u": {"k": "v"},
    }


def test_null_hides_what_lies_below(files: Files) -> None:
    files.base("db:\n  host: h\n  port: 1\n").environment("prod", "db: null\n")
    config = files.load("prod")
    assert data(config) == {"db": None}
    assert config.missing(("db", "host")) == (
        "there is no db.host: db is null, which hides what lies below it",
        f"written at {PROD}:1:1",
    )
    assert chain(config, "db.host") == [f"{PROD}:1:1 None hides db", f"{BASE}:2:9 'h'"]
    assert data(files.load("prod", "db.host=x")) == {"db": {"host": "x"}}


def test_aliases_and_merge_keys_are_read(files: Files) -> None:
    files.base(
        """\
        defaults: &d {port: 80, user: &u root}
        more: &m {size: 1, port: 7}
        web:
          <<: [*d, *m]
          user: www
        db: {<<: *d}
        who: *u
        """
    )
    config = files.load()
    assert data(config)["web"] == {"user": "www", "port": 80, "size": 1}
    assert data(config)["db"] == {"port": 80, "user": "root"}
    assert chain(config, "web.size") == [f"{BASE}:2:17 1"]


def test_nothing_at_all_is_a_configuration(files: Files, tmp_path: Path) -> None:
    assert data(files.load()) == {}
    assert data(files.base("# only a comment\n\n").load()) == {}
    assert data(files.base("---\n").load()) == {}
    assert files.load(user=tmp_path / "none.yaml").places[-1] == f"{tmp_path}/none.yaml (not there)"


# ---------------------------------------------------------------- variables and options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8080", 8080),
        ("true", True),
        ("no", "no"),
        ("012", 12),
        ("1.5", 1.5),
        ("", None),
        ("null", None),
        ('""', ""),
        ("[a, 1]", ["a", 1]),
        ("{a: 1}", {"a": 1}),
        ("some text", "some text"),
        ("'8080'", "8080"),
        ("'#fff'", "#fff"),
    ],
)
def test_variables_and_options_are_yaml(files: Files, text: str, value: object) -> None:
    files.base("web:\n  max-size: x\n")
    assert data(files.load(environ={"WINDLASS__WEB__MAX_SIZE": text})) == {"web": {"max-size": value}}
    assert data(files.load("", f"web.max-size={text}")) == {"web": {"max-size": value}}
    assert data(files.load(texts=(f"web.max-size={text}",))) == {"web": {"max-size": text}}


def test_names_of_variables(files: Files) -> None:
    files.base("web: {max-size: 1, Port: 2, a__b: 3, list: [{x: 1}]}\n")
    environ = {"WINDLASS__web__Max_Size": "10", "WINDLASS__WEB__PORT": "20", "WINDLASS__WEB__A__B": "30"}
    assert data(files.load(environ=environ))["web"] == {
        "max-size": 10,
        "Port": 20,
        "a__b": 30,
        "list": [{"x": 1}],
    }


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {"WINDLASS__WEB__PRT": "1"},
            ["WINDLASS__WEB__PRT:1:1: no key of the configuration fits WINDLASS__WEB__PRT "
             "(did you mean WINDLASS__WEB__PORT for web.port?)"],
        ),
        (
            {"WINDLASS__WEB__A_B": "1"},
            ["WINDLASS__WEB__A_B:1:1: WINDLASS__WEB__A_B may mean web.a-b or web.a_b "
             "(use --set, which takes the exact path)"],
        ),
        (
            {"WINDLASS__WEB__PORT": "1", "WINDLASS__web__port": "2"},
            ["WINDLASS__web__port:1:1: WINDLASS__WEB__PORT sets web.port as well (keep one of the two)"],
        ),
        (
            {"WINDLASS__WEB__PORT": "[1", "WINDLASS____": "1"},
            ["WINDLASS__WEB__PORT:1:3: not YAML", "WINDLASS____:1:1: no key"],
        ),
        ({"WINDLASS__WEB__PORT": "#fff"}, ["WINDLASS__WEB__PORT:1:1: '#fff' is a comment to YAML"]),
        (
            {"WINDLASS__WEB__PORT": "{{ config.x }}"},
            ["WINDLASS__WEB__PORT:1:1: {{ … }} without quotes is a mapping to YAML "
             "(write it quoted: '{{ config.x }}')"],
        ),
    ],
)  # fmt: skip
def test_variables_refused(files: Files, environ: dict[str, str], told: list[str]) -> None:
    files.base("web: {port: 1, a-b: 2, a_b: 3}\n")
    with pytest.raises(InputError) as caught:
        files.load(environ=environ)
    found = sorted(faults_of(caught), reverse=True)
    assert len(found) == len(told)
    for fault, start in zip(found, sorted(told, reverse=True), strict=True):
        assert fault.startswith(start)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("web.port", "is not of the form PATH=VALUE"),
        ("web..port=1", "is no path"),
        ("hosts[0]=1", "a list is replaced whole"),
        ("web.port=[1", "--set web.port:1:3: not YAML"),
        ("web.port={{ x }}", "write it quoted: '{{ x }}'"),
        ("web.port=!tag 1", "tags are not allowed"),
    ],
)
def test_options_refused(files: Files, option: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        files.base("web: {port: 1}\nhosts: [a]\n").load("", option)
    assert told in str(caught.value)


def test_an_option_may_add_a_key_and_names_a_near_one(files: Files) -> None:
    config = files.base("web: {port: 1}\n").load("", "web.prot=2", "other=3")
    assert data(config) == {"web": {"port": 1, "prot": 2}, "other": 3}
    assert config.notices == ("--set web.prot: no other layer has this key; web.port is near",)


# ---------------------------------------------------------------- faults


def test_every_fault_of_every_layer_at_once(files: Files) -> None:
    files.base("a: 1\na: 2\nb: {{ config.a }}\nc: !x 1\n").environment("prod", "- 1\n")
    user = files.user("d: [\n")
    with pytest.raises(InputError) as caught:
        files.load("prod", user=user)
    told = faults_of(caught)
    assert told[0].startswith(f"{user}:2:1: not YAML")
    assert told[1:] == [
        f"{BASE}:2:1: key 'a' is here twice (first at 1:1)",
        f"{BASE}:3:4: {{{{ … }}}} without quotes is a mapping to YAML (write it quoted: b: '{{{{ config.a }}}}')",
        f"{BASE}:4:4: tags are not allowed: !x",
        f"{PROD}:1:1: a configuration file is a mapping: `key: value`",
    ]


def test_an_environment_that_is_not_there(files: Files) -> None:
    files.base("a: 1\n").environment("prod", "a: 2\n").environment("dev", "")
    assert environment_names(files.path) == ["dev", "prod"]
    for name, told in [
        ("prd", "did you mean 'prod'?"),
        ("zzzz", "there are: dev, prod"),
        ("../x", "names no"),
    ]:
        with pytest.raises(InputError) as caught:
            files.load(name)
        assert told in str(caught.value)


def test_files_that_cannot_be_read(files: Files, tmp_path: Path) -> None:
    base = files.path / BASE
    base.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(InputError, match=f"{BASE}:2:4: byte 0xff is not UTF-8"):
        files.load()
    base.unlink()
    os.mkfifo(base)
    with pytest.raises(InputError, match="is not a regular file"):
        files.load()
    base.unlink()
    outside = tmp_path / "outside.yaml"
    outside.write_text("a: 1\n")
    base.symlink_to(outside)
    with pytest.raises(InputError, match="leads out of the workspace"):
        files.load()


def test_the_settings_of_the_application(files: Files) -> None:
    config = files.base("a: 1\n").load("", "app.history=5")
    assert chain(config, "app.history") == ["--set app.history:1:1 5", "built in 100"]
    files.base("app:\n  histroy: 5\n  history: many\n")
    with pytest.raises(InputError) as caught:
        files.load()
    assert faults_of(caught) == [
        f"{BASE}:3:12: app.history: input should be a valid integer",
        f"{BASE}:2:12: Windlass has no setting app.histroy (did you mean app.history?)",
    ]
    with pytest.raises(InputError):
        files.base("app: null\n").load()


def test_merge_keys_that_cannot_be(files: Files) -> None:
    with pytest.raises(InputError) as caught:
        files.base("a: {<<: 1}\nb: &b {x: 1}\nc:\n  <<: *b\n  <<: *b\nd: {<<: [*b, 2]}\n").load()
    assert caught.value.faults == (
        Fault(BASE, 1, 9, "a merge key (<<) takes a mapping, or a list of mappings"),
        Fault(BASE, 5, 3, "a mapping has one merge key (<<)", "give it a list"),
        Fault(BASE, 6, 9, "a merge key (<<) takes a mapping, or a list of mappings"),
    )


def test_a_text_stands_in_for_that_of_a_file(files: Files) -> None:
    files.base("a: 1\n").environment("prod", "b: 1\n")
    config = load_config(files.path, Given("prod", replaced={BASE: "a: 2\n", "other.yaml": "a: 3\n"}))
    assert data(config) == {"a": 2, "b": 1}
    with pytest.raises(InputError) as caught:
        load_config(files.path, Given("prod", replaced={PROD: "b: 1\nb: 2\n"}))
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [(PROD, 2)]


def test_no_text_stands_in_for_a_link_that_leads_out(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (files.path / BASE).symlink_to(tmp_path_factory.mktemp("out") / "base.yaml")
    with pytest.raises(InputError, match="the configuration has 1 fault"):
        load_config(files.path, Given(replaced={BASE: "a: 2\n"}))
