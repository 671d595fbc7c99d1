"""Difference-in-differences takes the same study however it is written, and says what cannot be used."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors

ESTIMATORS = ("callaway-santanna", "twfe", "sun-abraham", "imputation", "two-stage", "etwfe", "stacked", "lp-did")


def panel(n: int = 24, cohorts: tuple[int, ...] = (2003, 2005, 0), periods: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    unit, year = np.repeat(np.arange(n), periods), np.tile(np.arange(2001, 2001 + periods), n)
    start = np.array(cohorts)[unit % len(cohorts)]
    on = (start > 0) & (year >= start)
    y = rng.normal(size=n)[unit] + 0.1 * year + 2.0 * on + rng.normal(size=unit.size)
    return pd.DataFrame({
        "unit": unit, "year": year, "start": start, "y": y, "on": on.astype(int), "x": rng.normal(size=n)[unit],
        "area": unit // 4,
    })  # fmt: skip


def headline(frame: pd.DataFrame, **settings: Any) -> Any:
    columns = {"outcome": "y", "unit": "unit", "time": "year", "first_treated": "start", "inference": "analytic"}
    chosen = {k: v for k, v in (columns | settings).items() if v is not None}
    return ev.did(frame, **chosen).result.headline  # type: ignore[arg-type]


def month(year: int) -> str:
    return f"{2016 + (year - 2001 + 8) // 12}-{(year - 2001 + 8) % 12 + 1:02d}"


def quarter(year: int) -> str:
    return f"{2016 + (year - 2001) // 4}Q{(year - 2001) % 4 + 1}"


def written(frame: pd.DataFrame, write: Callable[[int], Any], never: Any = None) -> pd.DataFrame:
    """Write periods and starts in another way."""
    start = [write(v) if v else never for v in frame["start"]]
    return frame.assign(year=[write(v) for v in frame["year"]], start=pd.Series(start, dtype=object))


FORMS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "texts of units": lambda f: f.assign(unit=f["unit"].map("county {}".format).astype("category")),
    "texts of years": lambda f: written(f, str, ""),
    "missing starts": lambda f: f.assign(start=f["start"].replace(0, np.nan)),
    "infinite starts": lambda f: f.assign(start=f["start"].replace(0, np.inf)),
    "starts past the data": lambda f: f.assign(start=f["start"].replace(0, 9999)),
    "the word never": lambda f: f.assign(start=f["start"].astype(str).replace("0", "Never treated")),
    "NA of nullable numbers": lambda f: f.assign(start=f["start"].replace(0, np.nan).astype("Int64")),
    "nullable types": lambda f: f.convert_dtypes(),
    "Arrow types": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda f: f.assign(year=f["year"].astype("category"), start=f["start"].astype("category")),
    "quarters": lambda f: written(f, quarter),
    "months": lambda f: written(f, month),
    "dates": lambda f: written(f, lambda v: datetime.date(v, 1, 1)),
    "timestamps": lambda f: written(f, lambda v: pd.Timestamp(month(v))).assign(
        start=lambda g: pd.to_datetime(g["start"])
    ),
    "a date within the period": lambda f: written(f, month).assign(
        start=[f"{month(v)}-17" if v else "" for v in f["start"]]
    ),
    "pandas periods": lambda f: f.assign(year=pd.PeriodIndex(f["year"].astype(str), freq="Y")),
    "periods below zero": lambda f: written(f, lambda v: v - 2004),
    "every other year": lambda f: written(f, lambda v: 2 * v - 2001),
    "rows in another order": lambda f: f.sample(frac=1, random_state=1).set_index("area", drop=False),
    "a large level": lambda f: f.assign(y=f["y"] + 1e9),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_same_study_has_the_same_answer(form: str) -> None:
    plain, other = headline(panel()), headline(FORMS[form](panel()))
    # A level of 1e9 leaves seven digits of a difference.
    assert (other.estimate, other.std_error) == pytest.approx((plain.estimate, plain.std_error), rel=1e-6)


def test_an_indicator_is_a_start() -> None:
    plain, other = headline(panel()), headline(panel(), first_treated=None, treated="on")
    assert other == plain


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_level_and_scale_of_the_outcome_carry_over(estimator: str) -> None:
    frame = panel()
    plain = headline(frame, estimator=estimator)
    for level, scale, digits in ((1e9, 1.0, 1e-5), (0.0, 1e12, 1e-9), (0.0, 1e-9, 1e-9)):
        other = headline(frame.assign(y=level + scale * frame["y"]), estimator=estimator)
        assert other.estimate / scale == pytest.approx(plain.estimate, rel=digits)
        assert other.std_error / scale == pytest.approx(plain.std_error, rel=digits)


WRONG: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, Any], type[Exception], str]] = {
    "a code for never": (
        lambda f: f.assign(start=f["start"].replace(0, -1)), {}, errors.TreatmentTimingError, "no years in rows",
    ),
    "durations": (
        lambda f: f.assign(y=pd.to_timedelta(f["y"], unit="D")), {}, errors.ColumnTypeError, "holds durations",
    ),
    "complex numbers": (lambda f: f.assign(y=f["y"] + 0j), {}, errors.ColumnTypeError, "holds complex numbers"),
    "a balance that no cohort has": (
        lambda f: f, {"balance_event_times": 9}, errors.OptionError, "no cohort is seen longer than 4 periods",
    ),
    "nobody to compare within a horizon": (
        lambda f: f[~((f["start"] == 0) & (f["year"] == 2005))], {"estimator": "lp-did"}, errors.NoComparisonError,
        "nobody is left to compare with",
    ),
    "no unit alike": (
        lambda f: f.assign(x=f["x"] + 100 * (f["start"] == 2003)), {"covariates": ["x"]}, errors.SeparationError,
        "the covariate 'x' tells the cohort of 2003",
    ),
    "periods with fractions": (
        lambda f: f.assign(year=f["year"] + 0.25), {}, errors.PeriodError, "holds fractions",
    ),
    "treatment that ends": (
        lambda f: f.assign(on=f["on"].mask((f["unit"] == 0) & (f["year"] == 2007), 0)),
        {"first_treated": None, "treated": "on"}, errors.TreatmentTimingError, "estimator = 'chaisemartin'",
    ),
    "clusters that units leave": (
        lambda f: f.assign(area=f["year"] % 3), {"cluster": "area"}, errors.TreatmentTimingError, "changes within",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_gets_one_clear_message(case: str) -> None:
    change, settings, kind, words = WRONG[case]
    with pytest.raises(kind, match=words) as caught:
        headline(change(panel()), **settings)
    assert caught.value.todo  # type: ignore[attr-defined]


def checks(frame: pd.DataFrame, **settings: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {"outcome": "y", "unit": "unit", "time": "year", "first_treated": "start"}
    return {d.name: d for d in ev.did(frame, **(columns | settings)).result.diagnostics}


@pytest.mark.parametrize(("change", "settings"), [
    (lambda f: f[~((f["start"] == 2003) & (f["year"] == 2002))], {}),
    (lambda f: f.assign(x=1.0 * (f["start"] == 2003)), {"estimator": "etwfe", "covariates": ["x"]}),
])  # fmt: skip
def test_a_cohort_without_an_effect_is_named(
    change: Callable[[pd.DataFrame], pd.DataFrame], settings: dict[str, Any]
) -> None:
    found = checks(change(panel()), **settings)["effects-left-out"]
    assert found.verdict == "caution"
    assert found.text.startswith("The cohort of 2003 has no effect that can be estimated")
    assert found.value == pytest.approx(5 / 8)
    assert "effects-left-out" not in checks(panel())


def test_a_headline_without_an_interval_says_why() -> None:
    still = panel().assign(y=lambda f: f["unit"] + 0.5 * f["year"] + 2.0 * f["on"])
    found = checks(still, estimator="stacked")["interval"]
    assert found.verdict == "fail"
    assert "no interval" in found.text


@pytest.mark.parametrize("estimator", ["stacked", "lp-did", "chaisemartin"])
@pytest.mark.parametrize("way", ["analytic", "jackknife"])
def test_the_percent_goes_with_the_average_of_the_estimator(estimator: str, way: str) -> None:
    """With one start all three average the periods from it on: so does the level that the change is relative to."""
    frame = panel(cohorts=(2004, 0)).assign(y=lambda f: f["y"] - 195)
    columns: dict[str, Any] = {"unit": "unit", "time": "year", "estimator": estimator, "inference": way}
    columns |= {"treated": "on"} if estimator == "chaisemartin" else {"first_treated": "start"}
    result = ev.did(frame, outcome=ev.Outcome("y", kind="count", role="wellbeing"), **columns).result
    level = frame.loc[frame["on"] == 1, "y"].mean()
    percent = next(e for e in result.estimates if e.kind == "percent")
    h = result.headline
    assert percent.estimate == pytest.approx(100 * h.estimate / (level - h.estimate))
    # Both ends move with the effect, and little else does here.
    assert percent.std_error == pytest.approx(100 * h.std_error * level / (level - h.estimate) ** 2, rel=0.5)
    assert percent.conf_low < percent.estimate < percent.conf_high


@pytest.mark.parametrize("anticipation", [0, 1])
@pytest.mark.parametrize("comparison", ["not-yet-treated", "never-treated"])
def test_units_that_come_and_go_keep_their_own_effects(comparison: str, anticipation: int) -> None:
    """The linear extended model with holes, beside least squares with a dummy for every unit, period and cell."""
    full = panel()
    frame = full[np.random.default_rng(2).random(len(full)) > 0.15]
    found = headline(
        frame, estimator="etwfe", headline="simple", comparison=comparison, anticipation=anticipation
    )  # fmt: skip
    base = frame["start"] - 1 - anticipation
    inside = (frame["start"] > 0) & (frame["year"] > base)
    told = (frame["start"] > 0) & (frame["year"] != base) if comparison == "never-treated" else inside
    cell = (frame["start"] * 10_000 + frame["year"]).where(told, 0)
    X = pd.get_dummies(frame[["unit", "year"]].astype(str)).join(pd.get_dummies(cell).drop(columns=0), how="left")
    beta = pd.Series(np.linalg.lstsq(X.to_numpy(float), frame["y"].to_numpy(), rcond=None)[0], index=X.columns)
    after = cell[(frame["start"] > 0) & (frame["year"] >= frame["start"])]
    assert found.estimate == pytest.approx(beta[after].mean(), abs=1e-9)
