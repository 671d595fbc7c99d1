"""The calls ``evaluate`` and ``compare``, and those that hand on sums in place of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltoolkit.data import EngineSource, FileSource, FrameSource, Source
from evaltoolkit.errors import OptionError
from evaltoolkit.evaluation import Evaluation
from evaltoolkit.federation import export_moments as _export_moments
from evaltoolkit.federation import from_moments as _from_moments
from evaltoolkit.pipeline import evaluate as _evaluate
from evaltoolkit.pipeline import load_study
from evaltoolkit.reduction.moment_source import MomentsSource, added_files
from evaltoolkit.study import Study

if TYPE_CHECKING:
    from evaltoolkit.comparison import Comparison


def evaluate(path: str | Path, *, from_moments: Sequence[str | Path] = ()) -> Evaluation:
    """Evaluate a design file: the same evaluation that the command line makes.

    Parameters
    ----------
    path
        The design file.
    from_moments
        Files of sums that agencies exported by this design file; they stand in for its data.

    Raises
    ------
    EvaluationError
        The design file, the data or an option has to change.

    Examples
    --------
    >>> import evaltoolkit as ev
    >>> ev.evaluate("no_such_file.toml")
    Traceback (most recent call last):
    ...
    evaltoolkit.errors.DesignFileValueError: there is no design file 'no_such_file.toml'...
    """
    if not from_moments:
        return Evaluation(_evaluate(path))
    study = load_study(path)
    return Evaluation(_evaluate(study, _from_moments(study, from_moments, where="from_moments")))


def add_moments(paths: Sequence[str | Path]) -> MomentsSource:
    """Add up sums that agencies exported by one plan; what comes back may stand for the frame in ``ev.did``.

    Parameters
    ----------
    paths
        Files that ``ev.export_moments`` or ``evaltoolkit run --export-moments`` wrote.

    Raises
    ------
    MomentsFileError
        A file cannot be read or was changed, plans or periods differ, or a unit is in two files.

    Examples
    --------
    >>> import evaltoolkit as ev
    >>> ev.add_moments(["no_such_county.json"])
    Traceback (most recent call last):
    ...
    evaltoolkit.errors.MomentsFileError: paths: 'no_such_county.json' cannot be read...
    """
    return added_files(paths, where="paths")


def export_moments(study: str | Path | Study | Evaluation, path: str | Path, *, source: Any = None) -> Path:
    """Write the sums that a study needs of its rows to a file, for others to add theirs; no row is in it.

    Parameters
    ----------
    study
        A design file, or a study or evaluation; every agency has to use the same.
    path
        The file, which ends in ``.json``; written whole or not at all.
    source
        A data frame, a data file or ``ev.connect(...)`` in place of the data that the study names.

    Returns
    -------
    Path

    Raises
    ------
    DisclosureError
        A count of 1 to 10 people is among the sums or follows from them; the message says what to make coarser.
    EvaluationError
        The design file, the data or an option has to change.

    Examples
    --------
    >>> import evaltoolkit as ev
    >>> ev.export_moments("no_such_file.toml", "county_a.json")
    Traceback (most recent call last):
    ...
    evaltoolkit.errors.DesignFileValueError: there is no design file 'no_such_file.toml'...
    """
    if Path(path).suffix.lower() != ".json":
        raise OptionError(
            f"the file of sums is called '{Path(path).name}'", expected="a name that ends in .json",
            todo="give it such a name", where="path",
        )  # fmt: skip
    known = study.study if isinstance(study, Evaluation) else study
    asked = known if isinstance(known, Study) else load_study(known)
    text = _export_moments(asked, _source(source))
    from evaltoolkit.report import write_bytes

    return write_bytes(text.encode(), path)


def _source(source: Any) -> Source | None:
    if source is None or isinstance(source, EngineSource | FrameSource | FileSource | MomentsSource):
        return source
    return FileSource(Path(source), where="source") if isinstance(source, str | Path) else FrameSource(source)


def compare(study: str | Path | Evaluation) -> Comparison:
    """Estimate the effect of a study in every reasonable way of its design: a specification curve.

    Parameters
    ----------
    study
        A design file, or an evaluation (for which ``evaluation.compare()`` is the same).

    Returns
    -------
    Comparison
        ``tidy()`` has one row for each analysis, with the reason where there is no estimate; ``plot()`` draws the
        curve; ``summary()`` says how far the analyses agree; ``write(folder)`` writes ``compare.json`` and the figure.

    Raises
    ------
    EvaluationError
        The design file, the data or an option has to change, or there is no alternative.

    References
    ----------
    Simonsohn, U., Simmons, J. and Nelson, L. (2020). Specification curve analysis. Nature Human Behaviour 4.
    doi:10.1038/s41562-020-0912-z

    Examples
    --------
    >>> import pandas as pd
    >>> import evaltoolkit as ev
    >>> panel = pd.DataFrame([
    ...     {"site": s, "year": t, "start": 2021 if s < 12 else 0, "y": s % 5 + t % 3 + (s < 12 and t >= 2021) * 2.0}
    ...     for s in range(24) for t in range(2018, 2024)])
    >>> c = ev.compare(ev.did(panel, outcome="y", unit="site", time="year", first_treated="start"))
    >>> c.tidy()["estimate"].dropna().round(6).unique().tolist()
    [2.0]
    """
    return (study if isinstance(study, Evaluation) else evaluate(study)).compare()
