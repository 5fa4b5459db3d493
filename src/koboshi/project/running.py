"""`koboshi run`: the whole flow once, from the topic to an answer of the endpoint. Safe to run again, after any crash.

Each step is one of the verbs that the DAG calls, too, and is done only as far as something is new.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.table import Table
from rich.text import Text

from koboshi.errors import NotConfigured
from koboshi.ledger import Ledger, spans
from koboshi.orchestration import commands, stages
from koboshi.orchestration.gateway_answers import wait_until_served
from koboshi.orchestration.workspaces import PROJECT, Workspace
from koboshi.project import dvc_file
from koboshi.project.dag_runs import run_dags
from koboshi.project.declared import CODE, EVALUATE, TRAIN, Training
from koboshi.project.project import METRICS, Project
from koboshi.rich_tables import console
from koboshi.settings import Settings, required

SERVED_WITHIN_S = 120.0


class Run:
    """One run; each step is announced, and says how long it took."""

    def __init__(self, settings: Settings, project: Project) -> None:
        """Raises `NotConfigured` where the stack does not run, or the project declares too little."""
        self._settings, self._project = settings, project
        self._bootstrap = required(settings.kafka.bootstrap_servers, "Kafka")
        self._gateway = required(settings.gateway.url, "the gateway")
        self._console, self._took = console(), list[tuple[str, str, float]]()
        self._workspace = Workspace(PROJECT, settings.project)
        if project.training is None:
            raise NotConfigured("the project declares no training: add project.train(…) to its module.")
        self._training: Training = project.training

    def through(self, *, by_airflow: bool) -> Table:
        """All steps, in order, by this process or by the project's DAGs; the table of what each came to."""
        settings = self._settings
        if dvc_file.sync(self._project, settings.pipeline.named):
            self._say(f"{dvc_file.FILE} is written anew from {settings.pipeline.named}.")
        if self._project.topics:
            self._step("sample", self._send_samples)
        if by_airflow:
            self._step("dags", lambda: run_dags(settings, self._say))
        else:
            self._by_verbs()
        self._step("answer", self._answer)
        return steps_table(self._took)

    def _by_verbs(self) -> None:
        self._step("land", lambda: self._verb("ingest", "run"))
        self._step("audit", self._audit)
        self._step("pin", lambda: self._verb("pin"))
        for stage in (CODE, *self._project.stages, TRAIN, EVALUATE):
            self._step(stage, partial(self._stage, stage))
        self._step("promote", self._promote)

    def _step(self, name: str, do: Callable[[], str]) -> None:
        self._console.print(f"[bold]── {name}", highlight=False)
        began = time.monotonic()
        told = do()
        self._took.append((name, told, time.monotonic() - began))

    def _send_samples(self) -> str:
        from koboshi.ingest.confluent_samples import SampleTopic

        told = []
        for name in self._settings.ingest.topics:
            if (known := self._project.topics.get(name)) is None:
                told.append(f"{name}: the project declares no sample")
                continue
            topic = SampleTopic(self._bootstrap, name)
            made, sent = topic.make(), topic.fill(known.sample())
            told.append(f"{name}: {'made, ' if made else ''}{f'{sent:,} records sent' if sent else 'has its records'}")
            self._say(told[-1])
        return "; ".join(told)

    def _verb(self, *words: str) -> str:
        return self._command((str(Path(sys.executable).parent / "koboshi"), *words), f"koboshi {' '.join(words)}")

    def _audit(self) -> str:
        self._verb("ingest", "audit")
        with closing(Ledger(self._settings.ledger_url)) as ledger:
            records = sum(
                span.records for topic in self._settings.ingest.topics for span in spans.committed(ledger, topic)
            )
        return f"{records:,} landed records are those of the broker"

    def _stage(self, stage: str) -> str:
        settings, lines = self._settings, list[str]()

        def hear(line: str) -> None:
            lines.append(line)
            self._say(line)

        stages.run_stage(
            stage,
            self._workspace,
            state_dir=settings.state_dir,
            ledger_url=settings.ledger_url,
            topics=settings.ingest.topics,
            holder=f"koboshi run {os.getpid()}",
            on_line=hear,
        )
        if stage != EVALUATE:
            return lines[-1].partition(": ")[2] if lines else ""
        judged = json.loads((settings.project / METRICS).read_text())
        value = judged["units"][judged["best"]][judged["metric"]]
        return f"{judged['best']}: {judged['metric']} {value:.4f} on held-out rows"

    def _promote(self) -> str:
        told = json.loads(self._command((sys.executable, "-m", "koboshi.project.promotion"), "promote"))
        version = told["candidate"]["version"]
        if told["outcome"] not in ("promoted", "keep"):
            return f"version {version} is not promoted: {told['reason']}"
        wait_until_served(self._gateway, version, within_s=SERVED_WITHIN_S, on_line=self._say)
        return f"version {version} is served ({told['reason'].rstrip('.')})"

    def _answer(self) -> str:
        from koboshi.project.asking import compared_answers

        return compared_answers(self._settings, self._project, self._training)

    def _command(self, command: Sequence[str], what: str) -> str:
        env = self._workspace.environment(self._settings.state_dir)
        ended = commands.run(command, cwd=self._workspace.folder, env=env, on_line=self._say)
        commands.raise_for(ended, what)
        return ended.last_line

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def steps_table(steps: Sequence[tuple[str, str, float]]) -> Table:
    """What each step of a run did, and how long it took."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("step")
    table.add_column("what came of it", overflow="fold")
    table.add_column("s", justify="right")
    for name, told, took in steps:
        table.add_row(name, Text(told), f"{took:.1f}")
    return table
