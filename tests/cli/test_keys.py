"""`gateway keys` and `gateway password`: what they write, what they print once, and what they refuse."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.identity import keyfile
from gateway.identity.passwords import check_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy" / "keys.yaml"


def created(file: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["keys", "create", *arguments, "--file", str(file)]) == 0
    return capsys.readouterr().out.strip()


def test_a_key_is_shown_once_and_kept_as_its_digest(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = created(file, capsys, "crm", "--group", "a", "--group", "b", "--label", "team=sales=1", "--expires", "1d")
    (kept,) = keyfile.parse(file.read_bytes(), "keys.yaml")
    assert (kept.consumer, kept.groups, kept.labels) == ("crm", ("a", "b"), {"team": "sales=1"})
    assert kept.id == keyfile.id_of(key) and kept.sha256 == keyfile.digest(key).hex()
    assert kept.expires is not None and kept.created is not None and (kept.expires - kept.created).total_seconds() == 86400
    assert len(key.rpartition("_")[2]) >= 40 or len(key) > 55
    assert key not in file.read_text() and key.split("_", 2)[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_add_up_and_the_file_keeps_its_mode(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created(file, capsys, "a")
    file.chmod(0o640)
    created(file, capsys, "b")
    assert [key.consumer for key in keyfile.parse(file.read_bytes(), "")] == ["a", "b"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640 and [one.name for one in file.parent.iterdir()] == ["keys.yaml"]


def test_listed_and_revoked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = created(file, capsys, "a", "--group", "staff"), created(file, capsys, "b")
    assert main(["keys", "list", "--file", str(file)]) == 0
    listed = capsys.readouterr().out
    assert f"{keyfile.id_of(one)}  a, in staff\n" in listed and one not in listed
    assert main(["keys", "list", "--json", "--file", str(file)]) == 0
    assert [key["consumer"] for key in json.loads(capsys.readouterr().out)["keys"]] == ["a", "b"]
    assert main(["keys", "revoke", one, "--file", str(file)]) == 0
    assert main(["keys", "revoke", keyfile.id_of(two), "--file", str(file)]) == 0
    assert keyfile.parse(file.read_bytes(), "") == ()
    assert main(["keys", "revoke", one, "--file", str(file)]) == 1
    assert keyfile.id_of(one) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["create", "crm", "--expires", "90"], "is no duration"),
        (["create", " crm"], "a name is 1 to 200 printable characters"),
        (["create", "a\nb"], "a name is"),
        (["create", "crm", "--group", ""], "a name is"),
        (["create", "crm", "--label", "team"], "a label is NAME=VALUE"),
        (["list"], "No such file"),
        (["revoke", "abcd"], "No such file"),
    ],
)
def test_what_is_refused_changes_nothing(arguments: list[str], why: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", *arguments, "--file", str(file)]) == 1
    told = capsys.readouterr()
    assert why in told.err and told.out == "" and not file.exists()


@pytest.mark.parametrize(
    "content",
    ["keys: [", "keys: {}", "- a", "keys: [{id: abcd, consumer: a, sha256: zz}]", "keys: [{id: A, consumer: a}]", "keys: [{consumer: a}]"],
)
def test_a_file_that_is_not_right_is_left_alone(content: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.parent.mkdir()
    file.write_text(content)
    assert main(["keys", "create", "crm", "--file", str(file)]) == 1
    assert str(file) in capsys.readouterr().err and file.read_text() == content


def test_ids_are_their_own(file: Path) -> None:
    twice = "{id: abcd, consumer: a, sha256: " + "a" * 64 + "}"
    with pytest.raises(ValueError, match="two keys have the id abcd"):
        keyfile.parse(f"keys: [{twice}, {twice}]".encode(), "keys.yaml")


@pytest.mark.parametrize("written", ["2027-01-01", "2027-01-01 00:00:00", "2027-01-01T00:00:00Z", "2027-01-01T02:00:00+02:00"])
def test_times_as_people_write_them(written: str) -> None:
    (key,) = keyfile.parse(f"keys: [{{id: abcd, consumer: a, expires: {written}, sha256: {'a' * 64}}}]".encode(), "")
    assert key.expires is not None and key.expires.isoformat() in ("2027-01-01T00:00:00+00:00", "2027-01-01T02:00:00+02:00")


def test_a_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("open sesame\n"))
    assert main(["password"]) == 0
    check = check_of(capsys.readouterr().out.strip())
    assert check(b"open sesame") and not check(b"open sesame\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["password"]) == 1
