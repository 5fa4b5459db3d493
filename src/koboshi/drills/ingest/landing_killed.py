"""landing-killed: SIGKILL of the lander in a file, between a file and its row, and after a row."""

import time
from collections.abc import Sequence

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.ingest.lander_run import LanderRun, told_in
from koboshi.drills.ingest.landing_environment import LandingEnvironment, files_equal_the_controls
from koboshi.drills.kit.confluent_topic import kafka_works, landed_equals_the_broker
from koboshi.drills.kit.faults import kill, resume, stop

IN_A_FILE, BEFORE_THE_ROW, AFTER_THE_ROW = "in a file", "between a file and its row", "after a row"
MOMENT_S = 0.001


def kill_in_a_file(environment: LandingEnvironment, lander: LanderRun) -> Injection | None:
    """SIGKILL while a file has its beginning and not its end.

    It is stopped (SIGSTOP) at the first sight of a file, and let run for a moment at a time until that has its
    beginning: however fast the machine is, no file comes and goes between two looks. None when it ended
    before it was caught.
    """
    while not lander.has_ended:
        time.sleep(MOMENT_S)
        if not lander.parts() or stop("lander", [lander.pid]) is None:
            continue
        if part := lander.growing():
            return _kill(environment, lander, f"{IN_A_FILE}, {part.stat().st_size:,} bytes into it")
        resume([lander.pid])
    return None


def kill_when_it_pauses(environment: LandingEnvironment, lander: LanderRun, where: str) -> Injection | None:
    """SIGKILL once it has stopped itself at the moment that it was ordered to; None when it did not."""
    return _kill(environment, lander, where) if lander.stopped() else None


def killed_where_it_hurts(environment: LandingEnvironment, injections: Sequence[Injection]) -> Finding:
    """Each injection took, and what was left behind shows where it was: a torn file, one without a row, none."""
    wanted = [IN_A_FILE, BEFORE_THE_ROW, AFTER_THE_ROW]
    holds = environment.killed_at == wanted and all(injection.took for injection in injections)
    return Finding("killed_where_it_hurts", holds, f"three landers were killed: {'; '.join(environment.killed_at)}")


def where_it_was(environment: LandingEnvironment) -> str:
    """From the last word of a lander that is dead, and from the files that are younger than it."""
    told = list(told_in(environment.state_dir).events())
    if not told:
        return "before it read"
    if told[-1]["event"] == "landed":
        return AFTER_THE_ROW
    since = told[-1]["at"]
    if any(path.stat().st_mtime > since for path in environment.whole_files()):
        return BEFORE_THE_ROW
    return IN_A_FILE if any(path.stat().st_mtime > since for path in environment.torn_files()) else "while it read"


def _kill(environment: LandingEnvironment, lander: LanderRun, detail: str) -> Injection | None:
    injection = kill("lander", [lander.pid], detail)
    lander.ended(10)
    environment.killed_at.append(where_it_was(environment))
    return injection


def kill_three_landers(environment: LandingEnvironment) -> list[Injection]:
    """Each lander takes over from the one that was killed before it."""
    injections = [kill_in_a_file(environment, environment.first)]
    if injections[-1]:
        injections.append(kill_when_it_pauses(environment, environment.next_lander("renamed"), BEFORE_THE_ROW))
    if injections[-1]:
        injections.append(kill_when_it_pauses(environment, environment.next_lander("committed"), AFTER_THE_ROW))
    return [injection for injection in injections if injection]


DRILL: Drill[LandingEnvironment] = Drill(
    name="landing-killed",
    claim="Landers that are killed in a file, between a file and its row, and after a row lose and double nothing: "
    "what is landed in the end are the files of an undisturbed landing.",
    fault="SIGKILL of three landers at the moments that hurt",
    layer="ingest",
    environment=LandingEnvironment,
    steady=(kafka_works,),
    inject=kill_three_landers,
    within_s=120,
    verdict=(killed_where_it_hurts, landed_equals_the_broker, files_equal_the_controls),
    faults=3,
)
