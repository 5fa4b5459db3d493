"""The checks of bad-version: what the replicas say of themselves, what is in their logs, and what clients got."""

from collections.abc import Iterator, Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.answers import OK
from koboshi.drills.scenes.release_scene import CORRUPT, FALSE, GOOD, ReleaseScene
from koboshi.drills.strike import Strike
from koboshi.probes.mlflow_probe import probe_mlflow
from koboshi.settings import required

# What the refusal must speak of: that one has other bytes, that one other answers.
REASONS = {CORRUPT: ("digest", "bytes"), FALSE: ("answers its own example otherwise", "answers")}


def registry_answers(scene: ReleaseScene) -> Finding:
    """MLflow does real work, and keeps its artefacts on this machine, where they can be spoilt."""
    health = probe_mlflow(required(scene.settings.mlflow.tracking_uri, "MLflow"))
    if not health.ok:
        return Finding("registry_answers", False, f"MLflow does not answer: {health.detail}")
    here = scene.artefacts.is_dir() or (scene.settings.state_dir / "mlflow").is_dir()
    said = "MLflow answers" if here else f"MLflow keeps its artefacts elsewhere, not in {scene.artefacts}"
    return Finding("registry_answers", here, said)


def bad_versions_are_refused(scene: ReleaseScene, strikes: Sequence[Strike]) -> Finding:
    """Each replica refuses each bad version for its own reason, and says so in `/version` and in its log."""
    missing = [*(str(strike) + " did not take" for strike in strikes if not strike.took), *_missing(scene)]
    said = "; ".join(missing) or f"{', '.join(scene.ports)} refused versions {CORRUPT} and {FALSE}, and said why"
    return Finding("bad_versions_are_refused", not missing, said)


def _missing(scene: ReleaseScene) -> Iterator[str]:
    for version, (word, what) in REASONS.items():
        refusals, logged = scene.refusals(version), scene.logged(version)
        for name in scene.ports:
            if word not in refusals.get(name, ""):
                yield f"{name} did not refuse version {version} because of its {what}"
            elif name not in logged:
                yield f"{name} refused version {version}, its log does not say so"


def bad_versions_never_answer(scene: ReleaseScene, _strikes: Sequence[Strike]) -> Finding:
    """No prediction names a bad version."""
    bad = [a for a in scene.answers if a.status == OK and a.version in {str(CORRUPT), str(FALSE)}]
    named = ", ".join(sorted({answer.version for answer in bad}))
    said = f"{len(bad):,} predictions came from version {named}" if bad else "no prediction came from a bad version"
    return Finding("bad_versions_never_answer", not bad, said)


def good_version_is_taken(scene: ReleaseScene, _strikes: Sequence[Strike]) -> Finding:
    """In the end every replica serves the good version, and it answers."""
    answered = sum(answer.version == str(GOOD) for answer in scene.answers)
    holds = scene.serve(GOOD) and answered > 0
    said = f"version {GOOD} gave {answered:,} predictions" if holds else f"not every replica took version {GOOD}"
    return Finding("good_version_is_taken", holds, said)
