"""The rendered examples in reports/ are what the design files give."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaltoolkit.results import load_result
from tests.contract.examples import DESIGN_FILES, ROOT, evaluated


@pytest.mark.parametrize("path", DESIGN_FILES, ids=lambda p: p.stem)
def test_a_rendered_report_is_current(path: Path) -> None:
    folder = ROOT / "reports" / path.stem
    stored, fresh = load_result(folder / "result.json"), evaluated(path).result
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert stored.provenance.design_sha256 == fresh.provenance.design_sha256
    assert stored.provenance.data_sha256 == fresh.provenance.data_sha256
    assert stored.statements == fresh.statements
    # Other versions of numpy and scipy may differ in the last digits.
    assert stored.headline.estimate == pytest.approx(fresh.headline.estimate, rel=1e-8)
    for one, two in (
        (stored.headline.std_error, fresh.headline.std_error), (stored.headline.conf_low, fresh.headline.conf_low),
    ):  # fmt: skip
        assert (one is None) == (two is None)
        assert one is None or one == pytest.approx(two, rel=1e-7)
