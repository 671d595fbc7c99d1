"""What every design owes, tested over the registry and the example design files."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import jsonschema
import pandas as pd
import pytest

from evaltoolkit import registry
from evaltoolkit.cli.explain import topics
from evaltoolkit.cli.schema import design_file_schema
from evaltoolkit.contract import study_record
from evaltoolkit.data import FrameSource, open_source
from evaltoolkit.errors import DisclosureError, SetupError
from evaltoolkit.pipeline import evaluate, load_study
from evaltoolkit.plots import draw
from evaltoolkit.results import FigureData, Result, from_json, role_words, to_json
from evaltoolkit.results.types import FigureKind
from evaltoolkit.study import Study, language_findings
from tests.contract.examples import DESIGN_FILES, evaluated, kind_of

each_file = pytest.mark.parametrize("path", DESIGN_FILES, ids=lambda p: p.stem)
each_design = pytest.mark.parametrize("entry", registry.DESIGNS, ids=lambda e: e.short)


def is_single_choice(annotation: Any) -> bool:
    """Whether a key has one value only: it names what is there, and the list grows."""
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_of(key)
            yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from texts_of({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})


@each_design
def test_every_design_has_an_example(entry: registry.Entry) -> None:
    assert entry.kind in {kind_of(path) for path in DESIGN_FILES}


@each_design
def test_a_design_is_what_the_registry_says(entry: registry.Entry) -> None:
    design = entry.load()
    assert design.kind == entry.kind
    assert design.options.model_config["extra"] == "forbid"
    assert design.options.model_config["frozen"] is True


@each_design
def test_every_option_is_described_and_read(entry: registry.Entry) -> None:
    """An option that no line of its design reads would be dead."""
    design = entry.load()
    folder = Path(inspect.getfile(design.options)).parent
    own = Path(inspect.getfile(design.options))
    read: set[str] = set()
    for file in folder.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        loads = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)]
        if file == own:
            loads = [n for n in loads if isinstance(n.value, ast.Name) and n.value.id == "self"]
        read |= {n.attr for n in loads}
    for name, field in design.options.model_fields.items():
        assert field.description, f"{entry.short}.{name} has no description"
        assert name in read or is_single_choice(field.annotation), f"{entry.short}.{name} is never read"


@each_file
def test_the_json_goes_round(path: Path) -> None:
    result = evaluated(path).result
    text = to_json(result)
    assert from_json(text) == from_json(to_json(from_json(text)))
    assert to_json(from_json(text)) == text
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


@each_file
def test_the_design_file_fits_the_schema(path: Path) -> None:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(content, default=str)), design_file_schema())
    broken = content | {"no_such_key": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json.dumps(broken, default=str)), design_file_schema())


@each_file
def test_same_seed_same_bytes_and_the_frame_is_untouched(path: Path) -> None:
    study = load_study(path)
    frame = open_source(study).rows(study).frame
    before = frame.copy(deep=True)
    first = evaluate(study, FrameSource(frame)).result
    second = evaluate(study, FrameSource(frame)).result
    pd.testing.assert_frame_equal(frame, before)
    assert to_json(first) == to_json(second)
    assert first.headline == evaluated(path).result.headline


@each_file
def test_the_order_of_rows_does_not_matter(path: Path) -> None:
    if kind_of(path) == "propensity-score-matching":
        pytest.skip("ties between equal scores go to the first row, as in MatchIt; the matching room tests the rest")
    study = load_study(path)
    frame = open_source(study).rows(study).frame
    shuffled = frame.sample(frac=1, random_state=5)
    first, second = (evaluate(study, FrameSource(f)).result.headline for f in (frame, shuffled))
    assert second.estimate == pytest.approx(first.estimate, rel=1e-9)
    for one, two in ((first.std_error, second.std_error), (first.conf_low, second.conf_low)):
        assert (one is None) == (two is None)
        assert one is None or two == pytest.approx(one, rel=1e-9)


@each_file
def test_statements_are_there_and_speak_well(path: Path) -> None:
    result = evaluated(path).result
    words = result.statements
    for field in dataclasses.fields(words):
        if field.name != "study_period":
            assert getattr(words, field.name), field.name
    for text in texts_of(words):
        assert language_findings(text) == [], text
        assert not re.search(r"\b(prove[sdn]?|no effect|statistically significant|nan|None|inf)\b", text), text
        assert "  " not in text, text
        assert text.startswith("10.") or not re.search(r"\d\.\d{6,}", text), text  # a DOI begins with 10.
    caveat = role_words(evaluated(path).study.outcome.role).caveat
    assert caveat in words.does_not_show


@each_file
def test_figures_are_known_and_can_be_drawn(path: Path) -> None:
    result = evaluated(path).result
    assert result.figures
    keys = [part.key for part in (*result.figures, *result.tables)]
    assert len(keys) == len(set(keys))
    for figure in result.figures:
        assert figure.kind in get_args(FigureKind)
        assert figure.kind != "flow", "the report draws the flow"
        assert len(figure.alt) > 40
        assert figure.headline
        draw(figure)


@each_file
def test_every_row_fits_its_columns(path: Path) -> None:
    result = evaluated(path).result
    for part in (*result.figures, *result.tables):
        for row in part.rows:
            assert len(row) == len(part.columns), part.key
        assert not [c.key for c in part.columns if c.kind == "basis"], "a basis column left"


@each_file
def test_the_flow_adds_up(path: Path) -> None:
    """Each step is the one before less what left, and the two arms add up."""
    steps = evaluated(path).result.flow
    assert steps
    for before, after in itertools.pairwise(steps):
        if before.unit == after.unit and None not in (before.n, after.n) and after.excluded is not None:
            assert before.n == after.n + after.excluded, after.label
    for step in steps:
        if None not in (step.n, step.treated, step.comparison):
            assert step.treated + step.comparison == step.n, step.label


@each_file
def test_one_primary_estimate(path: Path) -> None:
    result = evaluated(path).result
    assert result.headline.standing == "primary"
    assert result.headline.conf_low < result.headline.estimate < result.headline.conf_high
    terms = [(e.term, e.outcome, e.kind, e.standing) for e in result.estimates]
    assert len(terms) == len(set(terms))
    assert result.evidence is not None
    assert result.evidence.reasons


@each_file
def test_no_identifier_leaves(path: Path) -> None:
    """A planted identifier column, declared as such, is found in no output."""
    study = load_study(path)
    frame = open_source(study).rows(study).frame
    planted = frame.assign(case_number=[f"ZQ{i:05d}X" for i in range(len(frame))])
    rules = study.disclosure.model_copy(update={"identifiers": (*study.disclosure.identifiers, "case_number")})
    result = evaluate(study.model_copy(update={"disclosure": rules}), FrameSource(planted)).result
    assert not re.search(r"ZQ\d{5}X", to_json(result))


@each_file
def test_hidden_numbers_are_in_no_output(path: Path) -> None:
    """With a threshold above every count of people, no count of people is left in any table, figure or flow step."""
    study = load_study(path)
    rules = study.disclosure.model_copy(update={"threshold": 10**9})
    try:
        result = evaluate(study.model_copy(update={"disclosure": rules})).result
    except DisclosureError:
        assert study.counts_people, "only an evaluation of people may have nothing left to show"
        return
    for part in (*result.figures, *result.tables):
        for j, column in enumerate(part.columns):
            if column.kind == "people":
                assert all(row[j] in (None, 0) for row in part.rows), (part.key, column.key)
    for step in result.flow:
        if step.people:
            assert (step.n, step.excluded or None, step.treated, step.comparison) == (None,) * 4
    assert "disclosure" in to_json(result)
    draw_all(result)


def draw_all(result: Result) -> None:
    for figure in result.figures:
        assert isinstance(figure, FigureData)
        draw(figure)


def test_every_check_can_be_explained() -> None:
    """`evaltoolkit explain` knows each check that a design can make."""
    package = Path(inspect.getfile(registry)).parent
    made: set[str] = set()
    for file in (package / "designs").rglob("*.py"):
        made |= set(re.findall(r'Diagnostic\(\s*name="([^"]+)"', file.read_text(encoding="utf-8")))
    assert len(made) > 15
    assert made <= set(topics())


def test_every_shared_key_is_read() -> None:
    """No key of the shared sections is dead: each is read outside the models."""
    package = Path(inspect.getfile(registry)).parent
    read: set[str] = set()
    for file in package.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                read.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                read.add(node.value)
    for name, field in Study.model_fields.items():
        section = field.annotation
        inner = getattr(section, "model_fields", None)
        for key in [name] if inner is None else [k for k, f in inner.items() if not is_single_choice(f.annotation)]:
            assert key in read, f"{name}.{key}"


def test_the_date_is_never_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study(DESIGN_FILES[0])
    undated = study.model_copy(update={"report": study.report.model_copy(update={"date": None})})
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert study_record(undated)["report"]["date"] is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert study_record(undated)["report"]["date"] == "2026-01-01"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(SetupError, match="yesterday"):
        study_record(undated)
