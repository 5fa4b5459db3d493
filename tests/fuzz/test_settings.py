"""Settings and parameters, generated: any koboshi.toml, any environment and any params.yaml are taken or refused."""

import datetime
import json
import math
import os
import random
import tomllib
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from koboshi.datasets.params import Params, load_params
from koboshi.documents import readable_toml
from koboshi.environment import NOT_SETTINGS, variable_of
from koboshi.errors import BadInput, NotConfigured
from koboshi.settings import Known, Settings, load_settings, load_what_fits, with_parts
from koboshi.stack.parts import variables as variables_of_parts
from koboshi.wrong_fields import leaves
from tests.support.fuzzing import drawn, fuzzed, some_text

OTHERS = [*NOT_SETTINGS, *variables_of_parts()]
NAMES = [name for name, _ in leaves(with_parts(Known))]
NUMBERS = [-1, 0, 5, 2**63, 1.5, math.inf, math.nan, True]
JUNK: list[Any] = [*NUMBERS, "", "x", "true", [], ["a"], [1, "a"], {}, {"x": 1}, [[]]]
JUNK += ["9" * 500, "2018-01-01", "a\0b", "\u2028", "é" * 300, {"topics": "x"}, {"": {"": ""}}]
TEXTS = ["x", "", "true", "-1", "0", "1e999", "nan", "[]", '["a"]', "{}", '"x"', "{", "9" * 5000, "[" * 5000]
WORDS = [*sorted({part for name in NAMES for part in name.split(".")}), "topic", "ingst", "", "é", "a b"]
PIECES = ["[", "]", '"', "\n", "=", "'''", "\0", "a = 1", "\n[x]\n", "\udcff"]
VARIABLES = [*map(variable_of, NAMES), *OTHERS, "KOBOSHI_INGST__X", "KOBOSHI_", "KOBOSHI___"]


def some_value(draw: random.Random) -> Any:
    return draw.choice(JUNK) if draw.random() < 0.5 else some_text(draw, 5)


def some_entries(draw: random.Random) -> list[tuple[str, str | None, Any]]:
    """Names that are known, or nearly, with values that fit or do not."""
    return [some_entry(draw) for _ in range(draw.randint(0, 4))]


def some_entry(draw: random.Random) -> tuple[str, str | None, Any]:
    return draw.choice(WORDS), draw.choice([None, draw.choice(WORDS)]), some_value(draw)


def some_break(draw: random.Random) -> tuple[int, str] | None:
    """A piece of text that breaks a document in some place, or nothing."""
    piece = draw.choice(PIECES) if draw.random() < 0.5 else some_text(draw, 3)
    return draw.choice([None, (draw.randint(0, 100), piece)])


def some_environment(draw: random.Random) -> dict[str, str]:
    return {some_variable(draw): draw.choice(TEXTS) for _ in range(draw.randint(0, 3))}


def some_variable(draw: random.Random) -> str:
    invented = "KOBOSHI_" + "".join(draw.choices("_AE", k=draw.randint(0, 9)))
    return draw.choice(VARIABLES) if draw.random() < 0.5 else invented


def document(given: list[tuple[str, str | None, Any]]) -> dict[str, Any]:
    """Values at the top, and in sections where they have two names."""
    found: dict[str, Any] = {}
    for one, other, value in given:
        section = found.setdefault(one, {} if other is not None else value)
        if other is not None and isinstance(section, dict):
            found[one] = {**section, other: value}
    return found


def toml(document: dict[str, Any]) -> str:
    """Whole tables in one line; JSON's texts, numbers and lists are TOML's, where there is no null."""
    return "\n".join(f"{json.dumps(name)} = {inline(value)}" for name, value in document.items())


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {inline(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return str(value).lower() if isinstance(value, float) else json.dumps(value)


def broken(text: str, at: tuple[int, str] | None) -> str:
    return text if at is None else text[: at[0]] + at[1] + text[at[0] :]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@fuzzed
@given(given=drawn(some_entries), at=drawn(some_break), environment=drawn(some_environment))
@example(given=[("ingest", "topic", ["x"])], at=None, environment={})
@example(given=[("state_dir", None, "a\0b")], at=None, environment={})
@example(given=[("ledger_url", None, "ab")], at=(17, "\u2028"), environment={})
@example(given=[], at=(0, "\r"), environment={})
@example(given=[], at=(0, "a=" + "[" * 5000), environment={})
@example(given=[], at=(0, "a = 0x" + "f" * 5000), environment={})
@example(given=[("kafka", None, 3), ("ingest", "topics", "x")], at=None, environment={"KOBOSHI_KAFKA__X": "y"})
def test_any_document_and_any_environment_are_settings_or_refused(
    project: Path, given: list[Any], at: tuple[int, str] | None, environment: dict[str, str]
) -> None:
    """Nothing else comes out, and the verbs that leave out what does not fit always get settings.

    They hear of something exactly where the others are refused. Of a broken document no part is lost that is whole.
    """
    text = broken(toml(document(given)), at)
    (project / "koboshi.toml").write_bytes(text.encode(errors="surrogateescape"))
    warned: list[str] = []
    with patch.dict(os.environ, environment, clear=True):
        lenient = load_what_fits(warned.append, project=project)
        assert isinstance(lenient, Settings)
        if not warned:
            assert load_settings(project) == lenient
            assert repr(readable_toml(text)) == repr(tomllib.loads(text))
        elif at is None:
            with pytest.raises(NotConfigured):
                load_settings(project)
    assert "\n" not in "".join(warned)


class Candidate(Params):
    steps: int = Field(ge=1)


class Numbers(Params):
    """A block as pipelines have them."""

    trees: int = Field(ge=1, le=100)
    share: float = Field(default=0.5, ge=0, le=1)
    by: Literal["one", "two"] = "one"
    since: datetime.date = datetime.date(2018, 1, 1)
    until: datetime.datetime | None = None
    weekly: bool = False
    first: str = Field(default="", alias="from")
    candidates: dict[str, Candidate] = Field(default_factory=dict)


KEYS = ["trees", "share", "by", "since", "until", "weekly", "from", "candidates", "steps", "tres"]


def some_numbers(draw: random.Random) -> list[tuple[str, Any]]:
    return [(draw.choice(KEYS), some_value(draw)) for _ in range(draw.randint(0, 3))]


@fuzzed
@given(given=drawn(some_numbers), at=drawn(some_break), name=st.sampled_from(["train", "trian", "3"]))
@example(given=[], at=(0, "train: {trees: 2018-13-45}\n"), name="other")
@example(given=[], at=(0, "train: {trees: " + "9" * 5000 + "}\n"), name="other")
@example(given=[], at=(0, "train: &a [*a]\n"), name="other")
@example(given=[], at=(0, "[" * 600), name="other")
def test_any_parameters_are_read_or_refused(
    project: Path, given: list[Any], at: tuple[int, str] | None, name: str
) -> None:
    """JSON is YAML; what a person writes by hand is more, and is broken into it."""
    text = broken(f"{name}: {json.dumps(dict(given))}", at)
    (project / "params.yaml").write_bytes(text.encode(errors="surrogateescape"))
    refused = ""
    try:
        found = load_params(project, "train", Numbers)
    except BadInput as error:
        refused = str(error)
    assert "\n" not in refused
    assert "params.yaml" in refused if refused else 1 <= found.trees <= 100
