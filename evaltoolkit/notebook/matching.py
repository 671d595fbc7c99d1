"""The call ``match``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from evaltoolkit.evaluation import Evaluation
from evaltoolkit.notebook.running import RowKind, evaluated
from evaltoolkit.study import Outcome

if TYPE_CHECKING:
    import numpy as np

Covariate = str | Mapping[str, Any]
_METRICS = ("mahalanobis", "robust-mahalanobis", "scaled-euclidean", "matrix")


def match(
    frame: Any,
    *,
    treated: str,
    outcome: str | Outcome,
    covariates: Sequence[Covariate],
    method: str = "nearest",
    distance: str | np.ndarray = "logit",
    ratio: int = 1,
    replace: bool = False,
    caliper: float | Literal["auto"] | None = "auto",
    caliper_scale: str = "sd-score",
    calipers: Mapping[str, Any] | None = None,
    exact: Sequence[str] = (),
    antiexact: Sequence[str] = (),
    match_on: Sequence[str] = (),
    reuse: int | None = None,
    common_support: str = "none",
    subclasses: int = 6,
    bins: str | int | Sequence[float] | Mapping[str, Any] = "sturges",
    balance_tolerance: float = 0.05,
    kernel: str = "epanechnikov",
    bandwidth: float = 0.06,
    order: str | None = None,
    ties: str = "one",
    outcome_before: Sequence[str] = (),
    incomplete: str = "drop",
    imputations: int | None = None,
    estimand: str = "ATT",
    effect: str = "regression",
    weighting: str | None = None,
    stabilize: bool = False,
    truncate: float | None = None,
    cluster: str | None = None,
    folds: int = 1,
    repeats: int = 1,
    inference: str = "auto",
    level: float = 0.95,
    seed: int = 20260101,
    title: str | None = None,
    program: str | None = None,
    rows: RowKind = "people",
    identifiers: Sequence[str] = (),
    sensitivity: Sequence[str] = ("rosenbaum", "robustness-value", "e-value"),
    placebo_outcomes: Sequence[str] = (),
    variance_neighbours: int = 2,
    score_known: bool = False,
    release: str | None = None,
) -> Evaluation:
    """Propensity-score matching: compare served people with similar people who were not served.

    Parameters
    ----------
    frame
        One row per person (or site). Never changed.
    treated
        Column of 0 and 1.
    outcome
        Column name, or an ``Outcome`` that says what it measures and its role.
    covariates
        Columns, ``{"log": "x"}`` or ``{"interact": ["a", "b"]}``.
    outcome_before
        Columns of the outcome before the program, oldest first: changes since the last are compared, not levels.
    incomplete, imputations
        People with missing covariates: ``drop``, ``indicator`` or ``impute`` (values drawn ``imputations`` times).
    method
        ``nearest``, ``optimal`` (pairs with the least total distance), ``full`` (sets of one and several),
        ``subclass``, ``exact``, ``coarsened-exact``, ``cardinality``, ``kernel`` or ``radius``.
    distance, match_on
        ``logit`` (an estimated score), ``mahalanobis``, ``robust-mahalanobis`` or ``scaled-euclidean`` (on the
        covariates, or on those of ``match_on``), a numeric column, or an array with the distance of every treated
        (rows) from every comparison row (columns), infinite where a pair is not allowed.
    ratio, replace, reuse, order, ties
        Matches for each; whether a person may be a match again, and how often at most; who chooses first; with
        replacement, ``one`` of equally near matches or their ``average``.
    caliper, caliper_scale, calipers
        Largest distance (``None`` for none; ``auto`` is 0.2 for ``nearest`` on a score) in units of ``sd-score``,
        ``sd-logit`` or ``raw``; and largest differences on columns: ``{"age": 2}`` or ``{"age": {"sd": 0.5}}``.
    exact, antiexact, common_support
        Columns on which pairs must agree or must differ; and whom to leave out first (``treated``, ``comparison``,
        ``both``) where they lie outside the other group's range of the score.
    subclasses, bins, balance_tolerance, kernel, bandwidth
        For one method or another: ranges of the score; a rule, a number or cutpoints, for all numbers or by covariate;
        largest standardized mean difference; shape and reach of the kernel.
    estimand
        Whose effect is estimated: ``ATT`` of those served, ``ATC`` of those not served, ``ATE`` of everybody; by
        weighting also ``ATO`` and ``ATM``, of people who could have been in either group.
    effect
        ``regression`` (covariate-adjusted, linear), ``difference`` in means, ``g-computation`` with a logit or log
        outcome model for yes/no outcomes and counts, or by weighting ``aipw`` (doubly robust).
    weighting, stabilize, truncate
        With ``method="weighting"``: where weights come from (``inverse-probability``, ``overlap``, ``matching``,
        ``entropy``, ``cbps``, ``energy``), whether they are multiplied by their group's share, and the quantile above
        which they are set to it.
    cluster
        With ``method="weighting"``: column of sites or families whose people's outcomes go together.
    folds, repeats
        With ``effect="aipw"``: folds of cross-fitting (1 for none), and how often they are drawn.
    inference, level, seed
        Method (``auto`` says what it chose), confidence level, seed of random draws.
    sensitivity, placebo_outcomes
        Analyses of hidden differences (also ``oster`` and ``leave-one-covariate-out``), and columns that the program
        cannot have changed.
    variance_neighbours, score_known
        For ``abadie-imbens``: neighbours that the outcome's variance is taken from (0: one variance for all), and
        whether the estimated score is treated as known.
    title, program, rows, identifiers
        Words for the report, what a row is, and columns that identify people.
    release
        ``open`` where the frame is a table in an engine (``ev.connect``) whose rows may come.

    Returns
    -------
    Evaluation

    References
    ----------
    Ho, D., Imai, K., King, G. and Stuart, E. (2007). Matching as nonparametric preprocessing for reducing model
    dependence in parametric causal inference. Political Analysis 15. doi:10.1093/pan/mpl013

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import evaltoolkit as ev
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=400)
    >>> served = (rng.random(400) < 1 / (1 + np.exp(1 - x))).astype(int)
    >>> people = pd.DataFrame({"served": served, "x": x, "score": 2 * served + x + rng.normal(size=400)})
    >>> m = ev.match(people, treated="served", outcome="score", covariates=["x"])
    >>> 1.5 < m.result.headline.estimate < 2.5
    True
    """
    source: Any = frame
    if not isinstance(distance, str):
        from evaltoolkit.designs.matching.given import MatrixSource

        source, distance = MatrixSource(frame, distance), "matrix"
    if caliper == "auto":
        caliper = 0.2 if method == "nearest" and distance not in _METRICS else None
    settings = {
        "treated": treated, "covariates": list(covariates), "method": method, "distance": distance, "ratio": ratio,
        "replace": replace, "caliper": caliper, "caliper_scale": caliper_scale, "exact": list(exact), "order": order,
        "ties": ties, "outcome_before": list(outcome_before), "incomplete": incomplete, "imputations": imputations,
        "calipers": dict(calipers or {}),
        "antiexact": list(antiexact), "match_on": list(match_on), "reuse": reuse, "common_support": common_support,
        "subclasses": subclasses, "bins": bins, "balance_tolerance": balance_tolerance, "kernel": kernel,
        "bandwidth": bandwidth,
        "estimand": estimand, "effect": effect, "weighting": weighting, "stabilize": stabilize, "truncate": truncate,
        "cluster": cluster, "folds": folds, "repeats": repeats,
        "sensitivity": list(sensitivity), "placebo_outcomes": list(placebo_outcomes),
        "variance_neighbours": variance_neighbours, "score_known": score_known,
    }  # fmt: skip
    shared = {
        "title": title, "program": program, "rows": rows, "identifiers": identifiers, "release": release,
        "inference": inference, "level": level, "seed": seed,
    }  # fmt: skip
    return evaluated("propensity-score-matching", source, outcome, settings, shared)
