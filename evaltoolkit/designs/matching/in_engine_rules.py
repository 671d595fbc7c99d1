"""What cannot be done where people stay in an engine, each with what can be done instead."""

from __future__ import annotations

from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.weighting_rules import FROM_SCORE
from evaltoolkit.errors import OptionError
from evaltoolkit.study import Study

_OPEN = 'state release = "open" if rows may come to this machine'
WITHOUT_WINDOWS = ("polars",)
"""Engines whose running sums Ibis cannot ask for."""
MOST_MATCHES = 10
"""Matches for each person: each is a join of its own on either side."""
_METHODS = ("weighting", "exact", "coarsened-exact", "subclass", "nearest")


def refuse(study: Study, options: Options, backend: str) -> None:
    """Refuse options that need rows on this machine.

    Raises
    ------
    OptionError
        With an alternative that works in the engine.
    """
    for key, found, expected, instead in _reasons(study, options, backend):
        raise OptionError(
            f"{found}, and the people stay in the engine", expected=expected, todo=f"{instead}, or {_OPEN}",
            where=study.place(*key.split(".")),
        )  # fmt: skip


def in_engine(study: Study, options: Options, backend: str) -> bool:
    """Return whether these options work where people stay in an engine."""
    return not _reasons(study, options, backend)


Reason = tuple[str, str, str, str]


def _reasons(study: Study, options: Options, backend: str) -> list[Reason]:
    found = [*_of_method(options), *_of_score(options), *_of_people(options), *_of_errors(study, options)]
    found.append(_of_engine(options, backend))
    return [reason for applies, *rest in found if applies for reason in [(rest[0], rest[1], rest[2], rest[3])]]


Rule = tuple[bool, str, str, str, str]


def _of_method(options: Options) -> list[Rule]:
    method, way = options.method, options.weights_from
    near = method == "nearest"
    again = "use method = 'coarsened-exact', 'nearest' with replace = true, or 'weighting'"
    return [
        (method not in _METHODS, "method", f"method = '{method}' looks at people one after another",
         "one of " + ", ".join(_METHODS), again),
        (near and options.metric is not None, "distance", f"distance = '{options.distance}' is on several covariates",
         "distance = 'logit' or a column of numbers", "use distance = 'logit', or method = 'coarsened-exact'"),
        (near and not options.replace, "replace", "matching without replacement looks at people one after another",
         "replace = true", again),
        (options.reuse is not None, "reuse", "a limit on reuse looks at people one after another", "no limit",
         "leave reuse out"),
        (near and options.averages_ties, "ties", "averages over ties are asked for", "ties = 'one'", "leave ties out"),
        (near and options.ratio > MOST_MATCHES, "ratio", f"{options.ratio} matches for each person are asked for",
         f"at most {MOST_MATCHES}", "ask for fewer"),
        (bool(options.calipers), "calipers", "calipers on columns are asked for", "a caliper on the score",
         "use caliper and exact"),
        (bool(options.antiexact), "antiexact", "columns are named on which pairs must differ", "exact only",
         "leave antiexact out"),
        (way is not None and way not in FROM_SCORE, "weighting", f"weighting = '{way}' solves for weights of people",
         "weights from a score", "use weighting = 'inverse-probability'"),
        (options.truncate is not None, "truncate", "weights are to be cut at a quantile", "no truncation",
         "use estimand = 'ATO', whose weights stay below one"),
        (options.folds > 1, "folds", "folds of people are asked for", "folds = 1", "leave folds out"),
    ]  # fmt: skip


def _of_score(options: Options) -> list[Rule]:
    model = options.model
    return [
        (options.uses_score and model is not None and model != "logit", "distance",
         f"distance = '{model}' is not fitted there", "distance = 'logit' or a column of numbers",
         "use distance = 'logit'"),
        (options.common_support != "none", "common_support", "people out of range are to be left out first",
         "common_support = 'none'", "set a caliper, or leave it out"),
        (isinstance(options.bins, str) and options.method == "coarsened-exact" and options.bins == "freedman-diaconis",
         "bins", "bins = 'freedman-diaconis' needs quartiles", "sturges, scott, a number of bins or cutpoints",
         "use another rule"),
    ]  # fmt: skip


def _of_people(options: Options) -> list[Rule]:
    return [
        (options.incomplete != "drop", "incomplete", f"incomplete = '{options.incomplete}' fills gaps person by person",
         "incomplete = 'drop'", "leave it out"),
        (bool(options.outcome_before), "outcome_before", "changes since before the program are asked for",
         "one outcome after the program", "name a column that holds the change as the outcome"),
        (bool(options.placebo_outcomes), "placebo_outcomes", "placebo outcomes are asked for", "none",
         "run a study of its own with the placebo as its outcome"),
    ]  # fmt: skip


def _of_engine(options: Options, backend: str) -> Rule:
    needs = backend in WITHOUT_WINDOWS and options.method in ("subclass", "nearest")
    return (
        needs, "method", f"method = '{options.method}' needs running counts, which Ibis cannot ask {backend} for",
        "method = 'weighting', 'exact' or 'coarsened-exact'", "choose one, or read the same files with DuckDB",
    )  # fmt: skip


def _of_errors(study: Study, options: Options) -> list[Rule]:
    method = study.inference.method
    known = ("auto", "m-estimation") if options.method == "weighting" else ("auto", "cr1")
    return [
        (method not in known, "inference.method", f"inference '{method}' draws or compares people",
         " or ".join(known), "use inference = 'auto'"),
    ]  # fmt: skip
