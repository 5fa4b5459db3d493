"""What is installed, beside what koboshi needs and is tested with."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from koboshi.stack.doctor.installation import as_locked, findings, installed, locked, program, python, required

NEEDS = [Requirement(text) for text in ("rich>=14", 'ray>=2.60,<2.61; extra == "ray"', "httpx>=0.28")]


@pytest.mark.parametrize(
    ("version", "verdict"), [((3, 10, 9), "wrong"), ((3, 11, 0), "ok"), ((3, 13, 7), "ok"), ((3, 14, 0), "wrong")]
)
def test_pythons_that_koboshi_is_not_made_for_are_named(version: tuple[int, ...], verdict: str) -> None:
    found = python(version, ">=3.11,<3.14")
    assert found.verdict == verdict
    assert found.found == ".".join(map(str, version))


def test_a_package_that_is_missing_or_does_not_fit_is_named() -> None:
    """One of an extra that is not installed is not missed."""
    well = {"rich": "14.1", "httpx": "0.28.1"}
    assert required(NEEDS, well.get).verdict == "ok"
    found = required(NEEDS, {"rich": "13.0", "ray": "2.61.0"}.get)
    assert found.verdict == "wrong"
    assert found.found == "missing: httpx; do not fit: ray 2.61.0 (needs <2.61,>=2.60), rich 13.0 (needs >=14)"


def test_a_package_of_another_version_than_the_tested_one_is_a_note() -> None:
    """Of many, some are named."""
    pins = locked(["# said by hand", "a==1.0", "b==2.0 ; python_version < '3'", "c==3.0"])
    assert pins == {"a": "1.0", "c": "3.0"}
    assert as_locked(pins, {"a": "1.0"}.get).verdict == "ok"
    found = as_locked(pins, {"a": "1.1", "c": "3.0"}.get)
    assert (found.verdict, found.found) == ("note", "a 1.1, not 1.0")
    many = as_locked(dict.fromkeys("fedcba", "1"), lambda _name: "2")
    assert many.found == "a 2, not 1; b 2, not 1; c 2, not 1; d 2, not 1; 2 more"


def test_a_program_that_is_not_there_or_cannot_be_run_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "envoy"
    file.touch(mode=0o600)
    assert [program("Envoy", path).verdict for path in (None, tmp_path / "no", file)] == ["wrong"] * 3
    file.chmod(0o700)
    assert program("Envoy", file).verdict == "ok"


def test_this_environment_has_what_koboshi_needs() -> None:
    """It is the one that `make setup` has made."""
    assert {finding.check: finding.verdict for finding in findings()} == dict.fromkeys(
        ("Python", "packages", "locked versions", "Java", "Envoy", "supervisor"), "ok"
    )
    assert installed("no-such-package-of-ours") is None
