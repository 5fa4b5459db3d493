"""The note of a run in Airflow: which values differ from the committed ones. A person's own words in it stay.

Airflow's task interface has no way to set it: the task asks the REST interface, as a person in the browser does.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from koboshi.errors import KoboshiError
from koboshi.orchestration.airflow_client import Run, connect

if TYPE_CHECKING:
    from koboshi.settings import Airflow

__all__ = ["Run", "show", "with_changes"]
LONGEST = 1_000  # characters of a note that Airflow takes
CUT = "- and more"


def with_changes(note: str, changes: Mapping[str, str]) -> str | None:
    """The note with a line for each changed value; None where it has them all, or takes no more.

    Lines without room are left out, which the last line says: the run's page has every value in any case.
    """
    there = note.splitlines()
    lines = [line for name, change in changes.items() if (line := " ".join(f"- {name}: {change}".split())) not in there]
    before = f"{note.rstrip()}\n\n" if note.strip() else ""
    if not lines or CUT in there:
        return None
    while len(text := before + "\n".join(lines)) > LONGEST:
        if lines == [CUT]:
            return None
        lines = [*lines[: -2 if lines[-1] == CUT else -1], CUT]
    return text


def show(where: "Airflow", run: Run, note: str, changes: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Write the changed values into the run's note, unless the note of a moment ago has them.

    Under a crash: the next task of the run writes it. Never raises for Airflow's sake: nothing depends on a note.
    """
    if where.base_url is None or with_changes(note, changes) is None:
        return
    try:
        with closing(connect(where.base_url, where.username, where.passwords_path, tries=1)) as airflow:
            if text := with_changes(airflow.note(run), changes):
                airflow.annotate(run, text)
    except KoboshiError as error:
        say(f"the run's note does not tell what was changed: {error}")
