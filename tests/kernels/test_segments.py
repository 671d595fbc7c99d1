"""Columns of a segmented regression against a period-by-period twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.kernels.segments import Form, segment


def twin(t: int, start: int, form: Form, m: int) -> float:
    if t < start:
        return 0.0
    e = t - start
    return {
        "level": 1.0, "slope": float(e), "pulse": float(e == 0), "temporary": float(e < m),
        "ramp": 1.0 if e + 1 >= m else (e + 1) / m,
    }[form]  # fmt: skip


@given(
    form=st.sampled_from(["level", "slope", "pulse", "temporary", "ramp"]), start=st.integers(-5, 40),
    m=st.integers(1, 12), steps=st.lists(st.integers(-3, 45), unique=True, min_size=1),
)  # fmt: skip
def test_each_period_by_itself(form: Form, start: int, m: int, steps: list[int]) -> None:
    found = segment(np.array(sorted(steps)), start, form, m)
    assert found.tolist() == [twin(t, start, form, m) for t in sorted(steps)]


def test_one_period_of_a_temporary_change_is_a_pulse_and_of_a_ramp_a_level() -> None:
    t = np.arange(9)
    assert segment(t, 4, "temporary", 1).tolist() == segment(t, 4, "pulse").tolist()
    assert segment(t, 4, "ramp", 1).tolist() == segment(t, 4, "level").tolist()


def test_no_period_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        segment(np.arange(3), 1, "ramp", 0)
