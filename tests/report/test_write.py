"""Writing: whole or not at all, the same bytes, one clear message."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from evaltoolkit.errors import OptionError, OutputError
from evaltoolkit.report import write, write_file, write_report
from evaltoolkit.results import load_result, to_json
from tests.report.results_made import interrupted, matched, staggered

RESULT = matched()
OTHER = interrupted()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def nothing_left(folder: Path) -> bool:
    return not [p for p in folder.rglob("*") if p.name.endswith(".part")]


def test_the_folder_holds_what_the_manifest_says(tmp_path: Path) -> None:
    files = write_report(RESULT, tmp_path / "reports" / "housing")
    folder = tmp_path / "reports" / "housing"
    found = contents(folder)
    assert {str(f.relative_to(folder)) for f in files} == set(found)
    assert {"report.pdf", "result.json", "manifest.json", "figures/love.svg", "figures/flow.svg"} <= set(found)
    manifest = json.loads(found.pop("manifest.json"))
    assert manifest["files"] == {name: sha256(data).hexdigest() for name, data in found.items()}
    assert manifest["data"]["sha256"] == RESULT.provenance.data_sha256
    assert load_result(folder / "result.json") == RESULT
    assert files[0].name == "report.pdf"


def test_the_same_result_gives_the_same_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(RESULT, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_earlier_report_is_replaced_and_no_old_file_stays(tmp_path: Path) -> None:
    write_report(RESULT, tmp_path / "r")
    write_report(OTHER, tmp_path / "r", ("json",))
    assert set(contents(tmp_path / "r")) == {"manifest.json", "result.json"}
    assert load_result(tmp_path / "r" / "result.json") == OTHER
    assert nothing_left(tmp_path)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputError, match="not a report"):
        write_report(RESULT, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.docx"]


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        write_report(RESULT, tmp_path / "r")
    with pytest.raises(OutputError, match="a file stands in the way"):
        write_report(RESULT, tmp_path / "r" / "inside", ("json",))
    with pytest.raises(OutputError, match="is a folder"):
        write_file(RESULT, tmp_path, as_format="json")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'pdf'"):
        write_report(RESULT, tmp_path / "r", ("pfd",))
    with pytest.raises(OptionError, match="'docx' is not known"):
        write_file(RESULT, tmp_path / "r.docx")
    assert not list(tmp_path.iterdir())


# ---- failures -----------------------------------------------------------------------------------------------------


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[tuple[Path, dict[str, bytes]]]:
    """An earlier report that has to survive whatever happens."""
    folder = tmp_path / "reports" / "r"
    write_report(RESULT, folder, ("json",))
    before = contents(folder)
    yield folder, before
    assert contents(folder) == before
    assert nothing_left(tmp_path)


def full_after(monkeypatch: pytest.MonkeyPatch, n: int, code: int) -> None:
    real, calls = Path.write_bytes, [0]

    def failing(self: Path, data: Any) -> int:
        calls[0] += 1
        if calls[0] > n:
            with self.open("wb") as half:
                half.write(data[: len(data) // 2])
            raise OSError(code, os.strerror(code))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", failing)


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "quota"),
                                             (errno.EIO, "Input/output error")])  # fmt: skip
def test_a_disk_that_fills_up(
    earlier: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, n: int, code: int, words: str
) -> None:
    full_after(monkeypatch, n, code)
    with pytest.raises(OutputError, match=f"{words}.*Nothing was changed"):
        write_report(OTHER, earlier[0])


def test_a_full_disk_leaves_no_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_after(monkeypatch, 1, errno.ENOSPC)
    with pytest.raises(OutputError, match="the disk is full"):
        write_report(OTHER, tmp_path / "a" / "b" / "c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["r.json", "r.pdf"])
def test_one_file_is_whole_or_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file = write_file(RESULT, tmp_path / name)
    before = file.read_bytes()
    full_after(monkeypatch, 0, errno.ENOSPC)
    with pytest.raises(OutputError, match="the disk is full"):
        write_file(OTHER, file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("swaps", ["one step", "two steps"])
def test_the_move_goes_wrong(
    earlier: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, swaps: str
) -> None:
    """Whether the system swaps folders in one step or not, a failed move leaves the earlier report."""
    real = Path.rename
    if swaps == "one step":
        monkeypatch.setattr(write, "_exchange", lambda one, other: (_ for _ in ()).throw(OSError(errno.EIO, "swap")))
    else:
        monkeypatch.setattr(write, "_exchange", lambda one, other: False)
        moved: list[Path] = []

        def second_fails(self: Path, target: Path) -> Path:
            moved.append(self)
            if len(moved) == 2:
                raise OSError(errno.EIO, "rename")
            return real(self, target)

        monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(OutputError, match="could not be written"):
        write_report(OTHER, earlier[0])


def test_systems_that_cannot_swap_replace_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "_exchange", lambda one, other: False)
    write_report(RESULT, tmp_path / "r", ("json",))
    write_report(OTHER, tmp_path / "r", ("json",))
    assert load_result(tmp_path / "r" / "result.json") == OTHER
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_the_result_cannot_be_drawn(earlier: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "build", lambda result: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_report(OTHER, earlier[0])


KILLED = """
import os, signal, sys
from pathlib import Path
from evaltoolkit.report import write, write_report
from tests.report.results_made import interrupted

def killed(fresh, place):
    assert (fresh / "manifest.json").is_file()
    os.kill(os.getpid(), signal.SIGKILL)

write._move = killed
write_report(interrupted(), Path(sys.argv[1]), ("json",))
"""


def test_a_killed_run_leaves_the_earlier_report(tmp_path: Path) -> None:
    write_report(RESULT, tmp_path / "r", ("json",))
    before = contents(tmp_path / "r")
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "r")], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert contents(tmp_path / "r") == before
    write_report(OTHER, tmp_path / "r", ("json",))
    assert load_result(tmp_path / "r" / "result.json") == OTHER


# ---- real places --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="writing is not permitted"):
            write_report(RESULT, tmp_path / "r", ("json",))
        assert not list(tmp_path.iterdir())
    finally:
        tmp_path.chmod(0o700)


def test_a_place_where_nothing_can_be_written() -> None:
    with pytest.raises(OutputError, match=r"could not be written.*Nothing was changed"):
        write_report(RESULT, "/proc/evaluation", ("json",))


REMOUNT_READ_ONLY = 32 | 1


def mounted(place: Path, flags: int = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    done: int = libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", flags, b"size=400k")
    return done == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mounted(place):
        pytest.skip("no right to mount a file system here")
    try:
        yield place
    finally:
        ctypes.CDLL(None).umount(os.fsencode(place))


def test_a_disk_that_is_read_only(tiny_disk: Path) -> None:
    write_report(RESULT, tiny_disk / "r", ("json",))
    before = contents(tiny_disk / "r")
    assert mounted(tiny_disk, REMOUNT_READ_ONLY)
    for place in ("r", "new"):
        with pytest.raises(OutputError, match="the place is read-only"):
            write_report(OTHER, tiny_disk / place, ("json",))
    with pytest.raises(OutputError, match="the place is read-only"):
        write_file(OTHER, tiny_disk / "one.json")
    assert contents(tiny_disk / "r") == before


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    write_report(RESULT, tiny_disk / "r", ("json",))
    before = contents(tiny_disk / "r")
    filler = tiny_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(tiny_disk).free - 40_000))
    with pytest.raises(OutputError, match="the disk is full"):
        write_report(staggered(), tiny_disk / "r")
    assert contents(tiny_disk / "r") == before
    assert {p.name for p in tiny_disk.iterdir()} == {"r", "filler"}
    with pytest.raises(OutputError, match="the disk is full"):
        write_file(staggered(), tiny_disk / "one.pdf")
    assert not (tiny_disk / "one.pdf").exists()
    filler.unlink()
    write_report(OTHER, tiny_disk / "r", ("json",))
    assert (tiny_disk / "r" / "result.json").read_text(encoding="utf-8") == to_json(OTHER)
