"""Bad input: one message that names the thing, exit code 2, nothing written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.cli.conftest import DESIGN, Call

DATA = {
    "empty file": ("", "is empty"),
    "header only": ("d,y,x\n", "no row"),
    "wrong delimiter": ("d;y;x\n0;1;2\n", "semicolons"),
    "column not in the data": ("d,z,x\n0,1,2\n", "'y'"),
    "text where numbers belong": ("d,y,x\n0,many,2\n1,3,4\n", "holds text in row 1"),
    "infinite values": ("d,y,x\n0,inf,2\n1,3,4\n", "infinite values in row 1"),
    "all-missing covariate": ("d,y,x\n0,1,\n1,3,\n", "'x' has no value"),
    "no comparison units": ("d,y,x\n1,1,2\n1,3,4\n", "untreated"),
    "an outcome that never varies": ("d,y,x\n0,1,2\n1,1,4\n", "never varies"),
    "not text": ("\x00\x01\x02", "hold no row"),
    "ragged rows": ("d,y,x\n0,1,2\n1,2,3,4,5\n", "cannot be read"),
}
FILES = {
    "unknown key": (DESIGN.replace("treated", "treeted"), "'treated'"),
    "not TOML": ("d,y\n1,2\n", "not TOML"),
    "parent folder": (DESIGN.replace("../data/rows.csv", "../../secret.csv"), "leaves the project folder"),
    "absolute path": (DESIGN.replace("../data/rows.csv", "/etc/passwd"), "leaves the project folder"),
    "address": (DESIGN.replace("../data/rows.csv", "http://x.org/a.csv"), "the address begins with 'http:'"),
    "missing data file": (DESIGN.replace("rows.csv", "row.csv"), "did you mean 'rows.csv'"),
    "unknown design": (DESIGN.replace('"toy"', '"toys"'), "did you mean 'toy'"),
}


def everything(root: Path) -> set[Path]:
    return set(root.parent.rglob("*"))


def refused(call: Call, project: Path, words: str, *args: str) -> None:
    before = everything(project)
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("error[E-") == 1
    assert everything(project) == before


@pytest.mark.parametrize("case", DATA)
def test_bad_data(case: str, project: Path, call: Call) -> None:
    text, words = DATA[case]
    (project / "data" / "rows.csv").write_text(text)
    refused(call, project, words, "run", "designs/toy.toml", "--quiet")


@pytest.mark.parametrize("case", FILES)
def test_bad_design_file(case: str, project: Path, call: Call) -> None:
    text, words = FILES[case]
    (project / "designs" / "toy.toml").write_text(text)
    refused(call, project, words, "run", "designs/toy.toml", "--quiet")


def test_a_symbolic_link_out_of_the_project(project: Path, call: Call) -> None:
    outside = project.parent / "secret.csv"
    outside.write_text("d,y,x\n0,1,2\n")
    (project / "data" / "rows.csv").unlink()
    (project / "data" / "rows.csv").symlink_to(outside)
    refused(call, project, "leaves the project folder", "run", "designs/toy.toml", "--quiet")


def test_missing_design_file(project: Path, call: Call) -> None:
    refused(call, project, "did you mean 'toy.toml'", "run", "designs/tpy.toml", "--quiet")


@pytest.mark.parametrize("place", ["/proc/evaluation", "data/rows.csv"])
def test_a_folder_that_cannot_be_written(place: str, project: Path, call: Call) -> None:
    refused(call, project, place.split("/")[-1], "run", "designs/toy.toml", "--quiet", "--out", place)


def test_a_full_disk(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("run", "designs/toy.toml")
    before = {path: path.read_bytes() for path in (project / "reports").rglob("*") if path.is_file()}

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as half:
            half.write(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(call, project, "the disk is full", "run", "designs/toy.toml", "--quiet")
    refused(call, project, "the disk is full", "run", "designs/toy.toml", "--quiet", "--out", "elsewhere")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("words", [["--format", "docx"], ["--seed", "-1"], ["--sed", "1"]])
def test_bad_options(words: list[str], project: Path, call: Call) -> None:
    refused(call, project, words[0], "run", "designs/toy.toml", *words)
