"""`make demo`: a record in Kafka to an answer at the endpoint, then three processes killed. Safe to run again.

Each step is a command that a person could type; a second run does each again and finds nothing to do. Ends with 0 only
if every step worked and the drills are proved; the stack stays up.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

import koboshi
from pipelines.published import comparison

STEPS = (
    ("Start the stack: Kafka, Airflow, Ray, MLflow, three replicas and their gateway", ("up",)),
    ("Stream 58 days of card transactions and the fraud reports into Kafka", ("stream", "simulate")),
    ("Land, audit and pin; datasets, candidates on Ray, the best one served; compare answers", ("run", "--airflow")),
    (
        "Drills: kill a lander, a Ray worker and a replica for real, and have the recovery proved",
        ("drill", "run", "landing-killed", "ray-worker-killed", "replica-killed"),
    ),
    ("Report of the drills", ("drill", "report")),
)
CONSOLE = Console(highlight=False)
TRY = """Five things to try, while the stack is up, after `. .venv/bin/activate` (README.md has more words on each):
  1. Kill a worker: `koboshi drill run ray-worker-killed`, or `koboshi kill ray-worker` while the DAG `train` trains.
  2. Kill a part: `koboshi kill kafka`, or any other part of `koboshi status`: it comes back by itself.
  3. Flip a byte of a file in .koboshi/spans: `koboshi ingest audit` names it, `koboshi ingest repair` puts it back.
  4. Change a number in params.yaml and run `dvc repro`, or trigger the DAG `train` in Airflow with a changed number.
  5. Send a file of your own: `koboshi stream replay cards.csv --topic-prefix my. --dry-run`.
`make stop` ends the stack, `make clean` leaves no trace."""


def main() -> int:
    """Do all steps, then say what was proved and where to look; the exit code."""
    begun = time.monotonic()
    for number, (what, words) in enumerate(STEPS, 1):
        CONSOLE.rule(f"[bold]{number}/{len(STEPS)} {what}", align="left")
        began = time.monotonic()
        if code := verb(*words):
            sys.stderr.write(f"demo: `koboshi {' '.join(words)}` ended with {code}; its last lines say why.\n")
            return code
        show(f"done in {time.monotonic() - began:.0f} s, {time.monotonic() - begun:.0f} s in all")
    CONSOLE.rule("[bold]The candidates beside the published figures", align="left")
    metrics = koboshi.Project.find().folder / "metrics.json"
    show(comparison(json.loads(metrics.read_text())["units"]))
    CONSOLE.rule("[bold]Where to look", align="left")
    verb("status")
    show(f"\n{TRY}\n\nThe demo took {time.monotonic() - begun:.0f} s.")
    return 0


def verb(*words: str) -> int:
    """Run a verb of koboshi, its output where ours goes; its exit code."""
    sys.stdout.flush()
    return subprocess.run((str(Path(sys.executable).parent / "koboshi"), *words), check=False).returncode


def show(text: str) -> None:
    """Print text as it is."""
    CONSOLE.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
