"""A reader that trusts the cache: the negative control opens the table without a look at its bytes, no more."""

from koboshi.drills.datasets.small_stages import NUMBERS, TABLE, publish_total
from koboshi.exits import run_and_exit
from koboshi.settings import load_settings


def total() -> None:
    project = load_settings().project
    publish_total(project, project / "data" / NUMBERS / TABLE)


if __name__ == "__main__":
    run_and_exit(total, "total")
