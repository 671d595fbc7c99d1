"""Files of sums as a source: read, compared, added."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from evaltoolkit.data import Rows
from evaltoolkit.errors import DisclosureError, MomentsFileError
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.reduction.moments import PanelMoments, added
from evaltoolkit.reduction.moments_json import Exported, read
from evaltoolkit.reduction.plan import PanelPlan
from evaltoolkit.study import Study

Overlap = Literal["checked", "sampled", "unchecked"]

MOST_BYTES: Final = 1 << 30
"""Size of a file of sums, at most."""
KEYS: Final = {
    "outcome": "outcome.column", "kind": "outcome.kind", "population": "outcome.population", "per": "outcome.per",
    "rows": "data.rows", "keep": "data.keep", "missing": "data.missing", "grid": "moments.grid",
    "shift": "moments.shift", "periods": "moments.periods", "starts": "moments.starts",
    "threshold": "disclosure.threshold", "show_zero": "disclosure.show_zero",
}  # fmt: skip
"""Keys of a design file for choices of a plan; the others have the same name."""
_UNTOLD: Final = {"keep", "missing"}


@dataclass(frozen=True, slots=True)
class Part:
    """One agency's file."""

    name: str
    moments: PanelMoments
    about: Exported


class MomentsSource:
    """Sums of one or several agencies in place of rows.

    Attributes
    ----------
    moments
        The sums, added up.
    design
        The kind of design that they were made for.
    overlap
        Whether units are known to be in one file only: all were ``checked``, some were (``sampled``), or none.
    """

    def __init__(self, parts: Sequence[Part], moments: PanelMoments, overlap: Overlap) -> None:
        self._parts = tuple(parts)
        self.moments = moments
        self.design = parts[0].about.design
        self.overlap: Overlap = overlap

    @property
    def name(self) -> str:
        """Names of the files."""
        return ", ".join(part.name for part in self._parts)

    @property
    def n_files(self) -> int:
        """How many files were added."""
        return len(self._parts)

    @property
    def n_untold(self) -> int:
        """In how many files people who were left out are not told of, because they were few."""
        return sum(part.about.untold for part in self._parts)

    @property
    def sha256(self) -> str:
        """Hash of the files' content, whatever their order."""
        each = sorted(part.about.sha256 for part in self._parts)
        return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()

    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the sums were made from."""
        plan = self.moments.plan
        named = (plan.unit, plan.time, plan.first_treated, plan.treated, plan.outcome, plan.population)
        return tuple(dict.fromkeys(name for name in (*named, *plan.covariates, plan.cluster, plan.weights) if name))

    def rows(self, study: Study) -> Rows:
        """Refuse: there are sums, and no rows.

        Raises
        ------
        DisclosureError
        """
        raise DisclosureError(
            "this analysis needs rows, and the source holds sums only", expected="an analysis that can do with sums",
            todo="ask for it where the rows are, or choose another estimator", where=study.place("design"),
        )  # fmt: skip

    def agree_with(self, plan: PanelPlan, design: str, *, where: str) -> None:
        """Refuse a study that asks for other sums than these.

        Raises
        ------
        MomentsFileError
            It names each choice that differs.
        """
        if self.design != design:
            raise MomentsFileError(
                f"the sums were made for the design '{self.design}'", expected=f"sums for '{design}'",
                todo="use the design file that the agencies used", where=where,
            )  # fmt: skip
        _same_plan(self.moments.plan, plan, f"'{self._parts[0].name}'", "this study", where)


def added_files(paths: Sequence[str | Path], *, where: str = "--from-moments") -> MomentsSource:
    """Read files of sums and add them up: what one reduction of all rows would have found.

    Parameters
    ----------
    paths
        At least one file.
    where
        Where they are named, for messages.

    Raises
    ------
    MomentsFileError
        A file cannot be read or was changed, or files do not go together: other plans, periods or designs, the same
        data twice, a unit in two of them.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise MomentsFileError(
            "no file of sums is named", expected="at least one", todo="name the files of the agencies", where=where
        )
    if len({file.resolve() for file in files}) < len(files):
        twice = next(f.name for i, f in enumerate(files) if f.resolve() in {g.resolve() for g in files[:i]})
        raise MomentsFileError(
            f"'{twice}' is named twice", expected="each file once", todo="name it once", where=where
        )  # fmt: skip
    parts = [Part(file.name, *read(_text(file, where), file.name)) for file in files]
    first = parts[0]
    for part in parts[1:]:
        if part.about.design != first.about.design:
            raise MomentsFileError(
                f"'{part.name}' is of the design '{part.about.design}', '{first.name}' of '{first.about.design}'",
                expected="files of one design", todo="export them by one design file", where=where,
            )  # fmt: skip
        _same_plan(first.moments.plan, part.moments.plan, f"'{first.name}'", f"'{part.name}'", where)
        _same_periods(first, part, where)
    overlap = _disjoint(parts, where)
    try:
        return MomentsSource(parts, added(*(part.moments for part in parts)), overlap)
    except MomentsError as error:
        raise MomentsFileError(
            f"the sums cannot be added ({error.why})", expected="sums by one plan, of few cells",
            todo="make covariates coarser, and export anew", where=where,
        ) from None  # fmt: skip


def _text(file: Path, where: str) -> str:
    try:
        if file.is_file() and file.stat().st_size > MOST_BYTES:
            raise MomentsFileError(
                f"'{file.name}' is larger than a file of sums can be", expected="a file written by --export-moments",
                todo="check that it is the right file", where=where,
            )  # fmt: skip
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise MomentsFileError(
            f"'{file.name}' is not text", expected="a file written by --export-moments",
            todo="check that it is the right file", where=where,
        ) from None  # fmt: skip
    except OSError as error:
        raise MomentsFileError(
            f"'{file}' cannot be read ({error.strerror})", expected="a file written by --export-moments",
            todo="correct the path or the permissions", where=where,
        ) from None  # fmt: skip


def _same_plan(one: PanelPlan, other: PanelPlan, first: str, second: str, where: str) -> None:
    if one.sha256 == other.sha256:
        return
    a, b = one.record(), other.record()
    told = []
    for name in a:
        if a[name] != b[name]:
            key = KEYS.get(name, name)
            told.append(key if name in _UNTOLD else f"{key} ({_short(a[name])} and {_short(b[name])})")
    raise MomentsFileError(
        f"{first} and {second} differ in {'; '.join(told)}",
        expected="one plan for all, fixed before any number is read",
        todo="agree on one design file, and export anew where it was another", where=where,
    )  # fmt: skip


def _short(value: Any) -> str:
    text = "none" if value in (None, [], "") else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _same_periods(first: Part, part: Part, where: str) -> None:
    a, b = first.moments, part.moments
    if a.calendar == b.calendar and np.array_equal(a.table.periods, b.table.periods):
        return
    raise MomentsFileError(
        f"the periods differ: '{first.name}' has {_span(a)}, '{part.name}' has {_span(b)}",
        expected="the same periods everywhere",
        todo="keep the periods that all agencies have by a filter under data.keep, and export anew", where=where,
    )  # fmt: skip


def _span(moments: PanelMoments) -> str:
    steps = moments.table.periods.tolist()
    label = moments.calendar.label
    return f"{len(steps)} from {label(steps[0])} to {label(steps[-1])}"


def _disjoint(parts: list[Part], where: str) -> Overlap:
    """Refuse the same data or the same unit twice, and return how much of that could be seen."""
    seen: set[Overlap] = {"checked"}
    for a, b in itertools.combinations(parts, 2):
        if a.about.sha256 == b.about.sha256 or _same_sums(a.moments, b.moments):
            raise MomentsFileError(
                f"'{a.name}' and '{b.name}' hold the same sums", expected="the sums of each agency once",
                todo="leave one of them out, or correct the export of one", where=where,
            )  # fmt: skip
        seen.add(_overlap_of(a, b, where))
    return next(word for word in ("unchecked", "sampled", "checked") if word in seen)


def _same_sums(a: PanelMoments, b: PanelMoments) -> bool:
    x, y = a.table, b.table
    if not np.array_equal(x.units, y.units) or not np.array_equal(x.shift, y.shift) or not x.m.any():
        return False
    return np.array_equal(x.m, y.m) and a.values == b.values and np.array_equal(x.cohort, y.cohort)


def _overlap_of(a: Part, b: Part, where: str) -> Overlap:
    one, two = a.moments.fingerprints, b.moments.fingerprints
    if one is None or two is None or one.kind != two.kind:
        return "unchecked"
    if one.key != two.key:
        raise MomentsFileError(
            f"'{a.name}' and '{b.name}' were made with different overlap keys", expected="one key for all agencies",
            todo="set the same EVALTOOLKIT_OVERLAP_KEY everywhere, and export anew", where=where,
        )  # fmt: skip
    shared = one.shared(two)
    if shared:
        # How many people are in both is itself a count of people.
        many = "people" if a.moments.plan.counts_people else f"{shared:,} of the units"
        raise MomentsFileError(
            f"{many} in '{a.name}' are in '{b.name}' too", expected="each unit in the sums of one agency",
            todo="agree on who reports a unit that several know, and export anew", where=where,
        )  # fmt: skip
    return "checked" if one.complete and two.complete else "sampled"
