"""`koboshi doctor`: what is wrong with a machine, an installation and a project, and what to do about it.

Each check is a small function of facts. `examine` gathers the facts, asks the checks, and changes nothing.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

from koboshi.settings import Settings

Verdict = Literal["ok", "note", "wrong"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, and what a person does about it; nothing to do where all is well.

    `note`: koboshi works all the same, and something is missing, slower or elsewhere.
    """

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


def judged(check: str, *, well: bool, found: str, remedy: str, otherwise: Verdict = "wrong") -> Finding:
    """All is well, and there is nothing to do; or it is not, and the remedy says what."""
    return Finding(check, "ok", found) if well else Finding(check, otherwise, found, remedy)


def anything_wrong(findings: Iterable[Finding]) -> bool:
    """Whether a person has to do something before koboshi works."""
    return any(finding.verdict == "wrong" for finding in findings)


def examine(settings: Settings, by_hand: Settings, misfits: Sequence[str]) -> list[Finding]:
    """Every check, in the order in which a person would look. `misfits`: what is wrong with the settings."""
    from koboshi.stack.doctor import installation, machine, project

    return [
        *machine.findings(settings.state_dir),
        *installation.findings(),
        *project.findings(settings, by_hand, misfits),
    ]
