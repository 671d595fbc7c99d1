"""The calls ``evaluate`` and ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evaltoolkit.evaluation import Evaluation
from evaltoolkit.pipeline import evaluate as _evaluate

if TYPE_CHECKING:
    from evaltoolkit.comparison import Comparison


def evaluate(path: str | Path) -> Evaluation:
    """Evaluate a design file: the same evaluation that the command line makes.

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
    return Evaluation(_evaluate(path))


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
