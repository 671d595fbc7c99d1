"""Keys of a design file for one method of matching or another, and which method each is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from evaltoolkit.designs.matching.weighting_rules import Weighting, conflict
from evaltoolkit.study import Section

if TYPE_CHECKING:
    from evaltoolkit.designs.matching.options import Options

Method = Literal[
    "nearest", "optimal", "full", "subclass", "exact", "coarsened-exact", "cardinality", "kernel", "radius",
    "weighting",
]  # fmt: skip
Model = Literal["logit", "probit", "cloglog", "penalized", "boosted"]
Metric = Literal["mahalanobis", "robust-mahalanobis", "scaled-euclidean", "matrix"]
Order = Literal["largest", "smallest", "data", "random", "closest", "farthest"]
Kernel = Literal["epanechnikov", "triangular", "biweight", "gaussian"]
BinRule = Literal["sturges", "freedman-diaconis", "scott"]
Bins = BinRule | int | tuple[float, ...]

METRICS: tuple[Metric, ...] = get_args(Metric)
MODELS: tuple[Model, ...] = get_args(Model)


class SdWidth(Section):
    """A width in standard deviations of its column."""

    sd: float = Field(description="Standard deviations of the column over both groups")


class MatchingKeys(Section):
    """Keys that only some methods know."""

    match_on: tuple[str, ...] = Field(
        (), description="Covariates that a distance on several covariates is taken on; all of them if left out"
    )
    antiexact: tuple[str, ...] = Field(
        (), description="Columns on which pairs must differ", json_schema_extra={"column": "antiexact"}
    )
    calipers: dict[str, float | SdWidth] = Field(
        {},
        description="Largest difference allowed on columns, such as { age = 2 } or { age = { sd = 0.5 } }; below zero, "
        "the difference that must be exceeded",
    )
    reuse: int | None = Field(
        None, ge=1, description="With replacement: how often one person may be a match; left out for no limit"
    )
    common_support: Literal["none", "treated", "comparison", "both"] = Field(
        "none", description="Whom to leave out first where they lie outside the other group's range of the score"
    )
    subclasses: int = Field(6, ge=2, le=100, description="With subclass: ranges of the score")
    bins: Bins | dict[str, Bins] = Field(
        "sturges",
        description="With coarsened-exact: a rule, a number of bins, or cutpoints, for all numbers or by covariate",
    )
    balance_tolerance: float = Field(
        0.05, ge=0, le=1, description="With cardinality: largest standardized mean difference allowed"
    )
    kernel: Kernel = Field("epanechnikov", description="With kernel: how weights fall with distance")
    bandwidth: float = Field(0.06, gt=0, description="With kernel: how far it reaches, in units of caliper_scale")

    weighting: Weighting | None = Field(
        None, description="With method = 'weighting': where the weights come from; inverse-probability if left out"
    )
    stabilize: bool = Field(
        default=False, description="With weighting: multiply weights by their group's share, so that they stay near one"
    )
    truncate: float | None = Field(
        None, gt=0.5, lt=1, description="With weighting: set weights above this quantile of their group to it"
    )
    cluster: str | None = Field(
        None,
        description="With weighting: column of sites or families whose people's outcomes go together",
        json_schema_extra={"column": "cluster"},
    )
    folds: int = Field(1, ge=1, le=50, description="With aipw: folds of cross-fitting; 1 for none")
    repeats: int = Field(1, ge=1, le=100, description="With cross-fitting: how often folds are drawn anew and averaged")

    def bins_of(self, covariate: str) -> Bins:
        """Return how a covariate is put into bins."""
        return self.bins.get(covariate, "sturges") if isinstance(self.bins, dict) else self.bins


_PAIRING = {"distance", "match_on", "exact", "antiexact", "caliper", "caliper_scale", "calipers", "common_support"}
_SMOOTH = {"distance", "exact", "caliper_scale", "common_support"}
KEYS_OF: dict[str, set[str]] = {
    "nearest": _PAIRING | {"ratio", "replace", "reuse", "order", "ties"},
    "optimal": _PAIRING | {"ratio"},
    "full": _PAIRING,
    "subclass": {"distance", "caliper_scale", "subclasses", "common_support"},
    "exact": {"exact"},
    "coarsened-exact": {"bins"},
    "cardinality": {"ratio", "balance_tolerance"},
    "kernel": _SMOOTH | {"kernel", "bandwidth"},
    "radius": _SMOOTH | {"caliper"},
    "weighting": {"distance", "weighting", "stabilize", "truncate", "folds", "repeats", "cluster"},
}
_ESTIMANDS: dict[str, tuple[str, ...]] = {
    "nearest": ("ATT", "ATC", "ATE"), "optimal": ("ATT", "ATC"), "full": ("ATT", "ATC", "ATE"),
    "subclass": ("ATT", "ATC", "ATE"), "exact": ("ATT", "ATC", "ATE"), "coarsened-exact": ("ATT", "ATC", "ATE"),
    "cardinality": ("ATT", "ATC"), "kernel": ("ATT", "ATC", "ATE"), "radius": ("ATT", "ATC", "ATE"),
    "weighting": ("ATT", "ATC", "ATE", "ATO", "ATM"),
}  # fmt: skip
_ON_A_SCORE = ("subclass", "kernel", "radius", "weighting")


def contradiction(options: Options) -> str | None:
    """Return what contradicts what among the options of matching, or None."""
    return _stranger(options) or _estimand(options) or _distance(options) or _replacement(options) or conflict(options)


def _stranger(options: Options) -> str | None:
    mine = KEYS_OF[options.method]
    for name in sorted(set().union(*KEYS_OF.values()) - mine):
        if getattr(options, name) != type(options).model_fields[name].default:
            known = [method for method, keys in KEYS_OF.items() if name in keys]
            return f"{name} is for method = {' or '.join(repr(m) for m in known)}, not '{options.method}'; leave it out"
    if options.method == "radius" and options.caliper is None:
        return "method = 'radius' needs a caliper, which is the radius"
    return None


def _estimand(options: Options) -> str | None:
    known = _ESTIMANDS[options.method]
    if options.estimand not in known:
        other = "; use method = 'weighting'" if options.estimand in ("ATO", "ATM") else ""
        return f"method = '{options.method}' estimates {' or '.join(known)}, not the {options.estimand}{other}"
    if options.estimand == "ATE" and options.method == "nearest" and not options.replace:
        return "estimand = 'ATE' with method = 'nearest' matches everybody both ways, which needs replace = true"
    if options.estimand == "ATE" and options.reuse is not None:
        return "reuse is not for estimand = 'ATE', where everybody is matched both ways"
    return None


def _distance(options: Options) -> str | None:
    if options.metric is not None and options.method in _ON_A_SCORE:
        return f"method = '{options.method}' needs a score or a column as distance, not '{options.metric}'"
    if options.match_on and options.metric in (None, "matrix"):
        return f"match_on is for distance = {' or '.join(repr(m) for m in METRICS if m != 'matrix')}"
    if options.metric == "matrix" and options.order in ("closest", "farthest"):
        return f"order = '{options.order}' is not for a matrix of distances; use largest, smallest, data or random"
    if options.metric is not None and options.averages_ties:
        return "ties are averaged on a score only; leave ties out where distance is taken on several covariates"
    if options.column is not None and options.caliper_scale == "sd-logit":
        return f"caliper_scale = 'sd-logit' needs distance = 'logit', not the column '{options.column}'"
    return None


def _replacement(options: Options) -> str | None:
    if options.averages_ties and not options.replace:
        return f"ties = '{options.ties}' needs replace = true"
    if options.reuse is not None and not options.replace:
        return "reuse needs replace = true"
    if options.averages_ties and options.reuse is not None:
        return "ties cannot be averaged where reuse is limited; leave one of them out"
    if options.replace and options.reuse is None and options.order is not None:
        return "order is for matches that can run out; leave it out where replace = true without reuse"
    return None
