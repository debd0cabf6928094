"""The environment, files of variables, files of secrets: what is taken from them, what is refused, and what nobody gets to see."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.cli.mistakes import tell
from gateway.config import envfile
from gateway.config.interpolation import Unfilled
from gateway.config.policy import Policy, load
from gateway.config.sources import SECRET, Sources
from gateway.errors import ConfigError
from gateway.registry import Registry
from tests.support import write_certificate

REGISTRY = Registry(Path(__file__).parent)
POLICY = "version: 1\nroutes: [{match: /**, plugins: [answer]}]\nserver: {listen: '127.0.0.1:${PORT}'}\n"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"), ("A=", ""), ("A=''", ""), ('A=""', ""), ("export A=b", "b"), ("  export\tA=b", "b"), ("A=b c", "b c"),
        ("A=b # c", "b"), ("A=b#c", "b#c"), ("A=#b", "#b"), ("A=b\t#c", "b"), ("A=b  ", "b"), ("A=b=c", "b=c"), ("A=${B}", "${B}"),
        ("A='b # c'", "b # c"), ("A='b\\n'", "b\\n"), ("A='b\"c'", 'b"c'), ("A='b' # c", "b"), ("A=b'c", "b'c"),
        ('A="b\\nc"', "b\nc"), ('A="\\"\\\\\\$\\t"', '"\\$\t'), ('A="b # c"#d', "b # c"), ('A=" b "', " b "), ("A=é\r", "é"),
    ],
)  # fmt: skip
def test_a_variable(line: str, value: str) -> None:
    assert envfile.parse(f"# A=0\n\n{line}\n  \nB=2", ".env") == {"A": value, "B": "2"}
    assert envfile.parse(line, ".env") == {"A": value}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hunter2", "1: no variable is set here; write KEY=VALUE; a value ends on its line, and \\n in double quotes is a new one"),
        ("=hunter2", "1: what stands before = names no variable; a name has letters, digits and _, as in API_KEY"),
        ("export 1A=hunter2", "8: what stands before = names no variable; a name has letters, digits and _, as in API_KEY"),
        ("MY-KEY=hunter2", "1: what stands before = names no variable; a name has letters, digits and _, as in API_KEY"),
        ("A =hunter2", "2: there is space around =; write A=VALUE, with quotes when the value begins with a space"),
        ("A= hunter2", "2: there is space around =; write A=VALUE, with quotes when the value begins with a space"),
        ("A='hunter2", "3: this quote is never closed; a value ends on its line; \\n in double quotes is a new one"),
        ('A="hunter2\\"', "3: this quote is never closed; a value ends on its line; \\n in double quotes is a new one"),
        ('A="hunter2" hunter2', "12: text after the closing quote; put the whole value in quotes"),
        ('A="hunter2\\d"', "11: no such escape in double quotes; write \\\\ for a backslash, or use single quotes"),
        ("B=hunter2", "1: B stands here twice; keep one"),
    ],
)
def test_what_is_no_variable(line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        envfile.parse(f"B=1\n{line}\n", "x.env")
    assert str(caught.value) == f"x.env:2:{told}"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_can_be_written(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    assert envfile.parse(f'A="{escaped}"', ".env") == {"A": value}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        envfile.parse(text, ".env")
    except ConfigError as error:
        places = [(mistake.line, mistake.column) for mistake in error.mistakes]
        lines = text.split("\n")
        beyond = [place for place in places if not (0 < place[0] <= len(lines) and 0 < place[1] <= len(lines[place[0] - 1]) + 1)]
        if beyond:
            raise AssertionError(beyond) from error


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    assert envfile.parse("\ufeffA=b", ".env") == {"A": "b"}


def written(folder: Path, **files: str) -> Path:
    (folder / "gateway.yaml").write_text(POLICY)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder / "gateway.yaml"


def port(policy: Policy) -> int:
    return policy.server.listen[0].port


def test_the_environment_wins_over_files_and_the_last_of_those_over_the_first_and_all_over_dot_env(tmp_path: Path) -> None:
    file = written(tmp_path, _env="PORT=1", a_env="PORT=2", b_env="PORT=3", c_env="OTHER=4")
    a, b, c = (tmp_path / f"{name}.env" for name in "abc")
    assert port(load(file, REGISTRY, {})) == 1
    assert port(load(file, REGISTRY, {}, env_files=[a])) == 2
    assert port(load(file, REGISTRY, {}, env_files=[a, b, c])) == 3
    assert port(load(file, REGISTRY, {"PORT": "4"}, env_files=[a, b])) == 4


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, _env="PORT", a_env="A='")
    with pytest.raises(ConfigError) as caught:
        load(file, REGISTRY, {}, env_files=[tmp_path / "a.env", tmp_path / "gone.env"])
    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines() == [
        ".env:1:1: no variable is set here; write KEY=VALUE; a value ends on its line, and \\n in double quotes is a new one",
        "a.env:1:3: this quote is never closed; a value ends on its line; \\n in double quotes is a new one",
        "gone.env: no such file; name one that is there: --env-file FILE",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_of_a_secret_is_not_shown_to_a_person(tmp_path: Path) -> None:
    file = written(tmp_path, _env="PORT=1\nhunter2\n")
    terminal = Terminal()
    with pytest.raises(ConfigError) as caught:
        load(file, REGISTRY, {})
    tell(caught.value, terminal)
    assert ".env:2:1" in terminal.getvalue()
    assert "hunter2" not in terminal.getvalue()


def test_the_commands_take_files_of_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text(POLICY.replace("[answer]", "[health]"))
    (tmp_path / "a.env").write_text("PORT=1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORT", raising=False)
    assert main(["check"]) == 1
    assert "PORT is not set" in capsys.readouterr().out
    assert main(["check", "--env-file", "a.env"]) == 0
    assert main(["plan", "--env-file", "gone.env", "--env-file", "a.env"]) == 1
    assert capsys.readouterr().err == "gone.env: no such file; name one that is there: --env-file FILE\n"


@pytest.mark.parametrize(
    ("held", "value"), [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"", ""), (b" a ", " a "), ("é".encode(), "é")]
)
def test_a_secret_ends_without_its_newline(held: bytes, value: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(held)
    assert Sources(tmp_path, {}).secret("secret") == value
    assert Sources(Path("/nowhere"), {}).secret(str(tmp_path / "secret")) == value


def test_a_secret_has_a_bound(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a" * SECRET)
    assert len(Sources(tmp_path, {}).secret("secret")) == SECRET
    (tmp_path / "secret").write_bytes(b"a" * (SECRET + 1))
    with pytest.raises(Unfilled, match="larger than 64 KiB"):
        Sources(tmp_path, {}).secret("secret")


def test_what_might_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero", "."):
        with pytest.raises(Unfilled, match="is no file"):
            Sources(tmp_path, {}).secret(name)


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 5000])
def test_what_names_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unfilled, match=r"names no file|cannot be read: File name too long|no such file"):
        Sources(tmp_path, {}).secret(name)


def test_what_a_file_holds_is_typed_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("4711\n")
    (tmp_path / "gateway.yaml").write_text(
        "version: 1\nroutes: [{match: /**, plugins: [answer]}]\n"
        "plugins: [{quota: {limit: '${file:secret}'}}, {stamp: {value: 'a${file:secret}'}}]\n"
    )
    with pytest.raises(ConfigError, match=r'got "\$\{file:secret\}"|at most 1000, got \$\{file:secret\}') as caught:
        load(tmp_path / "gateway.yaml", REGISTRY, {})
    assert "4711" not in str(caught.value)
    (tmp_path / "secret").write_text("471\n")
    policy = load(tmp_path / "gateway.yaml", REGISTRY, {})
    assert policy.plugins[0].settings.model_dump()["limit"] == 471
    assert policy.plugins[1].settings.model_dump()["value"] == "a471"
    assert [entry.shown for entry in policy.plugins] == [{"limit": "${file:secret}"}, {"value": "a${file:secret}"}]
    assert "471" not in repr(policy.plugins)


def test_a_policy_knows_the_files_it_is_made_of(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    (tmp_path / "port").write_text("81")
    (tmp_path / "a.env").write_text("")
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes/a.yaml").write_text("routes: [{match: /**, plugins: [answer]}]")
    (tmp_path / "gateway.yaml").write_text(
        "version: 1\ninclude: routes/*.yaml\nserver: {listen: {address: '127.0.0.1:${file:port}', tls: {cert: cert.pem, key: key.pem}}}\n"
    )
    policy = load(tmp_path / "gateway.yaml", REGISTRY, {}, env_files=[tmp_path / "a.env"])
    names = [str(file.relative_to(tmp_path)) for file in policy.files]
    assert names == ["gateway.yaml", ".env", "a.env", "routes", "routes/a.yaml", "port", "cert.pem", "key.pem"]


def test_a_policy_given_up_names_the_files_it_asked_for(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("version: 1\ninclude: [gone.yaml, routes/*.yaml]\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "gateway.yaml", REGISTRY, {})
    assert {str(file.relative_to(tmp_path)) for file in caught.value.files} == {"gateway.yaml", ".env", "gone.yaml", "routes"}
    (tmp_path / "gateway.yaml").write_text("version: 1\nroutes: [{match: /**, plugins: [{stamp: {value: '${file:gone}'}}, answer]}]\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "gateway.yaml", REGISTRY, {})
    assert tmp_path / "gone" in caught.value.files
