"""The replica: which model answers now, and what happened to the others."""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from koboshi.errors import KoboshiError, Unavailable
from koboshi.events import VersionRefused
from koboshi.files import publish_bytes
from koboshi.names import one_part
from koboshi.refs import ModelRef
from koboshi.serving.engine import Checked, WrongAnswers, WrongDigest, sweep, verified_artefact
from koboshi.sinks.log import to_log


@dataclasses.dataclass(frozen=True, slots=True)
class Aliased:
    """The version that a slot's alias points at, and where its artefact lies."""

    ref: ModelRef
    source: str


Cause = Literal["digest", "example", "load"]
"""Why a version is not taken: its digest is not the registered one, its answers differ, or it cannot be loaded."""
_CAUSES: Mapping[type[KoboshiError], Cause] = {WrongDigest: "digest", WrongAnswers: "example"}


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A version that was not taken, why, and from when on (monotonic seconds) another try is worth it.

    `cause` is for programs, `reason` the sentence for people.
    """

    ref: ModelRef
    cause: Cause
    reason: str
    retry_at: float


def wants_loading(serving: ModelRef | None, refusal: Refusal | None, seen: Aliased, now: float) -> bool:
    """Load what is new. A refused version is left alone until its time, or until its digest is another one."""
    is_refused = refusal is not None and refusal.ref == seen.ref and now < refusal.retry_at
    return seen.ref != serving and not is_refused


RETRY_REFUSED_S = 60.0
log = logging.getLogger("koboshi.serving")


class Registry(Protocol):
    """Where a slot's alias is looked up, and where artefacts come from; `model` is the registered model's name."""

    model: str

    def look(self) -> Aliased | None:
        """The version that the alias points at; raises `Unavailable`."""

    def fetch(self, seen: Aliased, folder: Path) -> Path:
        """Download an artefact into a folder; raises `Unavailable` or `Corrupt`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """The model that answers: never changed, only replaced by another one as a whole."""

    ref: ModelRef
    checked: Checked
    since: float


class Replica:
    """Follows a slot. `step` runs in one thread; `serving` may be read from any, without a lock."""

    def __init__(self, name: str, slot: str, registry: Registry, folder: Path, load: Callable[[Path], Checked]) -> None:
        """`folder` holds the artefacts, shared by digest, and what this replica served last."""
        self.name, self.slot = name, slot
        self.serving: Serving | None = None
        self.refusals: dict[ModelRef, Refusal] = {}
        self.registry_error = ""
        self.aliased: int | None = None
        self._registry, self._load = registry, load
        self._cache = folder / "models"
        self._remembered = folder / one_part(f"{name}.json", "the replica's name")
        self._said_gone = False

    def poll_alias(self) -> None:
        """Look at the alias once and do what follows from it.

        A new version is fetched, its digest checked, loaded and asked its example beside the one that answers; then
        they are swapped by one assignment. A version that fails any of this is refused: the old one stays. While the
        registry is away, or the alias is gone, the old one goes on, and a replica that just started takes up what it
        served last.
        """
        seen = self._look()
        if seen is not None:
            self._follow(seen)
        if self.serving is None and (last := self._last_served()):
            self._follow(last)
        self._say_once_that_the_alias_is_gone()

    @property
    def refusal(self) -> Refusal | None:
        """The version that was refused last, until the slot shows one that is served."""
        return next(reversed(self.refusals.values()), None)

    @property
    def alias_gone(self) -> bool:
        """Whether the slot has no alias although a version of it answers here."""
        return self.aliased is None and self.serving is not None and not self.registry_error

    def status(self) -> dict[str, Any]:
        """What `/version` says, as JSON values."""
        serving, refusal = self.serving, self.refusal
        refused = refusal and {"version": refusal.ref.version, "cause": refusal.cause, "reason": refusal.reason}
        return {
            "replica": self.name,
            "slot": self.slot,
            "model": serving.ref.name if serving else None,
            "version": serving.ref.version if serving else None,
            "key": serving.ref.key if serving else None,
            "sha256": serving.ref.sha256 if serving else None,
            "since": serving.since if serving else None,
            "alias": self.aliased,
            "alias_gone": self.alias_gone,
            "refused": refused,
            "registry": self.registry_error or "reachable",
        }

    def _look(self) -> Aliased | None:
        try:
            seen = self._registry.look()
        except Unavailable as error:
            if not self.registry_error:
                log.warning("%s", error)
            self.registry_error = str(error)
            return None
        self.registry_error = ""
        self.aliased = seen.ref.version if seen else None
        return seen

    def _say_once_that_the_alias_is_gone(self) -> None:
        if self.alias_gone and not self._said_gone and self.serving is not None:
            version = self.serving.ref.version
            log.warning("the alias %s is gone: version %d goes on answering, until it is set", self.slot, version)
        self._said_gone = self.alias_gone

    def _follow(self, seen: Aliased) -> None:
        now = time.monotonic()
        current = self.serving.ref if self.serving else None
        if seen.ref == current:
            self.refusals = {}
        elif wants_loading(current, self.refusals.get(seen.ref), seen, now):
            self._try(seen, now)

    def _try(self, seen: Aliased, now: float) -> None:
        try:
            checked = self._checked(seen)
        except Unavailable as error:
            self.registry_error = str(error)
        except KoboshiError as error:
            refusal = Refusal(seen.ref, _CAUSES.get(type(error), "load"), str(error), now + RETRY_REFUSED_S)
            self.refusals = {**self.refusals, seen.ref: refusal}
            to_log(self._refused(refusal))
        else:
            self.serving = Serving(seen.ref, checked, time.time())
            log.info("version %d (%s) answers now", seen.ref.version, seen.ref.sha256[:12])
            publish_bytes(self._remembered, json.dumps({"slot": self.slot, **dataclasses.asdict(seen)}).encode())
            self._sweep()

    def _refused(self, refusal: Refusal) -> VersionRefused:
        version, cause, reason = refusal.ref.version, refusal.cause, refusal.reason
        return VersionRefused(replica=self.name, slot=self.slot, version=version, cause=cause, reason=reason)

    def _checked(self, seen: Aliased) -> Checked:
        ref = seen.ref
        if not ref.sha256:
            raise WrongDigest(
                f"version {ref.version} has no recorded digest: register it with koboshi, or move the alias back."
            )
        what = f"{ref.name} version {ref.version}"
        return self._load(verified_artefact(self._cache, ref.sha256, lambda at: self._registry.fetch(seen, at), what))

    def _sweep(self) -> None:
        """Let go of artefacts that no replica of this machine would go back to."""
        kept = (_remembered(path) for path in self._remembered.parent.glob("*.json"))
        for sha256 in sweep(self._cache, {last[1].ref.sha256 for last in kept if last}):
            log.info("the artefact %s is not served any more and was removed", sha256[:12])

    def _last_served(self) -> Aliased | None:
        """What this replica served last in this slot, of this model: it may have followed another one before."""
        slot, last = _remembered(self._remembered) or ("", None)
        ours = last is not None and slot in (self.slot, "") and last.ref.name == self._registry.model
        return last if ours else None


def _remembered(path: Path) -> tuple[str, Aliased] | None:
    """The slot that a replica followed, and what it served last there; None where it cannot be read.

    Replicas of an older koboshi wrote no slot down: it is empty then.
    """
    try:
        kept = json.loads(path.read_text())
        return kept.get("slot", ""), Aliased(ModelRef.from_json(kept["ref"]), kept["source"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
