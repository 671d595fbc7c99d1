"""Design files: lines, suggestions, encodings; the line finder against generated files."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.errors import DesignFileKeyError, DesignFileSyntaxError, DesignFileValueError, EvaluationError
from evaltoolkit.study import load
from evaltoolkit.study.locate import line_of

GOOD = 'version = 1\ndesign = "d"\ntitle = "T"\n[outcome]\ncolumn = "y"\n'
KEY = st.from_regex(r"\A[a-z][a-z0-9_-]{0,8}\Z")


def written(folder: Path, content: str | bytes) -> Path:
    file = folder / "x.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize("content", [codecs.BOM_UTF8 + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()])
def test_bom_and_crlf(content: bytes, tmp_path: Path) -> None:
    assert load(written(tmp_path, content))[0].title == "T"


@pytest.mark.parametrize("content", [GOOD.encode("utf-16"), "title = 'é'".encode("latin-1"), b"a,b\n1,2\n", b"\x00"])
def test_not_toml(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DesignFileSyntaxError, match=r"x\.toml"):
        load(written(tmp_path, content))


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (GOOD + 'colunm = "z"\n', DesignFileKeyError, r"x\.toml:6 .*did you mean 'column'"),
        (GOOD + 'kind = "countt"\n', DesignFileValueError, r"x\.toml:6 .*did you mean 'count'"),
        (GOOD + '[[secondary]]\ncolumn = "z"\n[[secondary]]\nrole = "process"\n', DesignFileKeyError, r"x\.toml:8"),
        (GOOD + '[data]\nkeep = [{ column = "a", op = "=", value = 1 }]\n', DesignFileValueError, r"x\.toml:7"),
        (GOOD + "[disclosure]\nthreshold = 5\n", DesignFileValueError, "agreement"),
        (GOOD + 'role = "identification"\n', DesignFileKeyError, "detection"),
        (GOOD.replace("version = 1", "version = 2"), DesignFileValueError, r"x\.toml:1"),
        (GOOD.replace('title = "T"\n', ""), DesignFileKeyError, "title"),
    ],
)
def test_messages_name_line_and_key(text: str, kind: type[EvaluationError], words: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=words):
        load(written(tmp_path, text))


@given(st.lists(KEY, unique=True, min_size=1, max_size=5), st.lists(KEY, unique=True, min_size=1, max_size=5))
def test_every_key_is_found_on_its_line(tables: list[str], keys: list[str]) -> None:
    lines, places = [], {}
    for table in tables:
        lines.append(f"[{table}]")
        for key in keys:
            lines.append(f"{key} = 1")
            places[table, key] = len(lines)
    text = "\n".join(lines)
    assert all(line_of(text, path) == line for path, line in places.items())
