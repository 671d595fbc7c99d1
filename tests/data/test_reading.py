"""Every kind of file reads to the same frame; filters and missing codes; the frame handed in never changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest

from evaltoolkit.data import FrameSource, identifier_values, read_file
from evaltoolkit.errors import ColumnNotFoundError, ColumnTypeError, DataFileError
from evaltoolkit.study import study_from

FRAME = pd.DataFrame({"site": ["a", "b", "c"], "y": [1.5, 2.5, -99.0]})
WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    ".csv": lambda f, p: f.to_csv(p, index=False),
    ".tsv": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    ".dta": lambda f, p: f.to_stata(p, write_index=False),
    ".parquet": lambda f, p: f.to_parquet(p),
    ".feather": lambda f, p: f.to_feather(p),
    ".sav": lambda f, p: pyreadstat.write_sav(f, str(p)),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_each_kind_of_file_reads_alike(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows{suffix}"
    WRITERS[suffix](FRAME, file)
    read = read_file(file, where="data.source")
    assert read["y"].tolist() == FRAME["y"].tolist()
    assert [str(v) for v in read["site"]] == FRAME["site"].tolist()


@pytest.mark.parametrize("suffix", [".csv", *sorted(set(WRITERS) - {".csv", ".tsv"}), ".xlsx"])
def test_a_broken_file_is_one_message(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows{suffix}"
    file.write_bytes(b"\xff\xfe\x80\x81 broken")
    with pytest.raises(DataFileError, match="rows"):
        read_file(file, where="data.source")


def study(**data: Any) -> Any:
    return study_from({"design": "d", "title": "T", "outcome": {"column": "y"}, "data": data})


def test_missing_codes_and_filters_leave_the_frame_alone() -> None:
    before = FRAME.copy(deep=True)
    rows = FrameSource(FRAME).rows(study(missing=["-99"], keep=[{"column": "site", "op": "in", "value": ["b", "c"]}]))
    assert (rows.n_read, rows.n_filtered) == (3, 1)
    assert rows.frame["y"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(FRAME, before)


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ({"column": "sit", "op": "==", "value": "a"}, ColumnNotFoundError),
        ({"column": "y", "op": ">", "value": "a"}, ColumnTypeError),
        ({"column": "y", "op": "<", "value": [1, 2]}, ColumnTypeError),
        ({"column": "y", "op": ">", "value": 99}, DataFileError),
    ],
)
def test_a_filter_that_does_not_fit(condition: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        FrameSource(FRAME).rows(study(keep=[condition]))


def test_identifiers_are_text_whatever_their_type() -> None:
    assert identifier_values(pd.DataFrame({"id": [7.0, None], "n": ["x", "y"]}), ["id", "n"]) == {"7", "x", "y"}
