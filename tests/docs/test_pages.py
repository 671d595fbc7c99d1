"""The pages of docs/ are current, and say nothing of young people that the project does not say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from evaltoolkit.registry import DESIGNS
from evaltoolkit.study.language import language_findings
from evaltoolkit.study.models import Study

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def design_file_page() -> str:
    spec = importlib.util.spec_from_file_location("make_docs", DOCS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.page()
    return text


def test_the_page_of_keys_is_current(design_file_page: str) -> None:
    assert (DOCS / "design-file.md").read_text(encoding="utf-8") == design_file_page, "run: python docs/make.py"


def test_every_key_is_on_the_page_with_its_meaning(design_file_page: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", design_file_page, re.MULTILINE))
    for entry in DESIGNS:
        for name in entry.load().options.model_fields:
            assert rows[name], f"{entry.kind}: {name}"
    sections = {name for name, f in Study.model_fields.items() if hasattr(f.default_factory, "model_fields")}
    for name in sections:
        assert f"## [{name}]" in design_file_page


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_words_about_young_people(path: Path) -> None:
    said = [phrase for phrase, _ in language_findings(path.read_text(encoding="utf-8"))]
    assert said == []


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md", ROOT / "sample_data" / "README.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []
