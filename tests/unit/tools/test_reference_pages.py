"""The reference is made from the code, so it names what there is: every verb, every setting, every name."""

from typing import Any

import typer

import koboshi
from koboshi.cli import app
from koboshi.settings import Known, with_parts
from tools.reference_pages import pages, python_page, settings_page, verbs_page


def verbs(path: str, group: Any) -> list[str]:
    found: list[str] = []
    for name, command in group.commands.items():
        found += verbs(f"{path} {name}", command) if hasattr(command, "commands") else [f"{path} {name}"]
    return found


def test_every_verb_has_its_section_with_what_it_takes() -> None:
    page, listed = verbs_page(), verbs("koboshi", typer.main.get_group(app))
    assert len(listed) > 30
    assert [verb for verb in listed if f"\n## {verb}\n" not in page] == []
    assert "| `--junit` |" in page


def test_every_setting_is_there_with_its_variable_also_those_of_the_parts() -> None:
    page = settings_page()
    for name, field in with_parts(Known).model_fields.items():
        inner = getattr(type(field.default), "model_fields", None)
        keys = [f"KOBOSHI_{name.upper()}__{key.upper()}" for key in inner] if inner else [f"KOBOSHI_{name.upper()}"]
        assert [key for key in keys if f"`{key}`" not in page] == []


def test_every_name_that_a_project_imports_is_there_with_how_it_is_called() -> None:
    page = python_page()
    assert [name for name in koboshi.__all__ if f"### koboshi.{name}\n" not in page] == []
    assert "    serve(unit: str | None=None) -> None\n" in page
    assert "### koboshi.errors.Transient" in page


def test_no_word_in_angle_brackets_is_lost_as_an_element() -> None:
    for text in pages().values():
        prose = [line for line in text.splitlines() if not line.startswith("    ")]
        assert [line for line in prose if "<" in "".join(line.split("`")[::2])] == []
