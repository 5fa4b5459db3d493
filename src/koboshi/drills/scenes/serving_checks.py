"""The checks of the serving drills: what the client got, compared with the registered model itself, bit for bit."""

import time
from collections.abc import Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.answers import OK, failures, percentile_ms, silence
from koboshi.drills.scenes.envoy_gateway import stack_gateway
from koboshi.drills.scenes.load_scene import LOOK_S, LoadScene
from koboshi.drills.scenes.serving_scene import LAST, SLOT, ServingScene
from koboshi.drills.strike import Strike
from koboshi.probes.http_json import call

IN_S = 15.0
MISSED = 100  # so many predictions the others must have given while the struck one was silent
SHOWN = 3


def champion_is_served(scene: ServingScene) -> Finding:
    """Every replica of this machine's stack answers with the version that the registry calls champion."""
    replicas, found = scene.replicas, {}
    if len(replicas) < 2:
        return Finding("champion_is_served", False, "this stack has no replicas: start them with `koboshi up`")
    for name, port in replicas.items():
        found[name] = call(f"http://127.0.0.1:{port}/version")["version"]
    champion = scene.registry().aliased(SLOT)
    if champion is None:
        said = f"nothing has been promoted to {SLOT} yet, so there is nothing to serve: `make demo` does it"
        return Finding("champion_is_served", False, said)
    told = ", ".join(f"{name} version {version}" for name, version in found.items())
    holds = set(found.values()) == {champion}
    return Finding("champion_is_served", holds, f"version {champion} is {SLOT}; the replicas serve: {told}")


def gateway_has_all_replicas(scene: ServingScene) -> Finding:
    """The stack's gateway sends to every replica; one that has just come back has some seconds to be taken in."""
    gateway, deadline = stack_gateway(scene.settings, scene.settings.state_dir, scene.replicas), time.monotonic() + IN_S
    while (healthy := sum(host["healthy"] for host in gateway.hosts().values())) < len(scene.replicas):
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_S)
    return Finding("gateway_has_all_replicas", healthy == len(scene.replicas), f"the gateway sends to {healthy}")


def struck_replica_fell_silent(scene: ServingScene, strikes: Sequence[Strike]) -> Finding:
    """The fault was felt: from the strike on the struck replica gave no prediction, while the others gave many."""
    (strike,) = strikes
    quiet = silence(scene.answers, scene.victim, strike.at_s)
    if quiet is None:
        said = f"{scene.victim} did not answer before the strike, or never again after it"
        return Finding("struck_replica_fell_silent", False, said)
    begun, ended = quiet
    others = sum(begun < answer.at_s < ended and answer.status == OK for answer in scene.answers)
    holds = others >= MISSED and strike.took
    said = f"{scene.victim} was silent from {begun - strike.at_s:+.2f} s to {ended - strike.at_s:+.2f} s"
    return Finding("struck_replica_fell_silent", holds, f"{said} of the strike, the others gave {others:,} predictions")


def all_answered(scene: LoadScene, _strikes: Sequence[Strike]) -> Finding:
    """Not one request failed."""
    answers, failed = scene.answers, failures(scene.answers)
    if failed:
        told = "; ".join(f"{count} x {said}" for said, count in failed.most_common(SHOWN))
        return Finding("all_answered", False, f"{failed.total():,} of {len(answers):,} requests failed ({told})")
    slowest = percentile_ms(answers, 100)
    return Finding("all_answered", True, f"all of {len(answers):,} requests were answered, the slowest in {slowest} ms")


def all_right(scene: LoadScene, _strikes: Sequence[Strike]) -> Finding:
    """Every prediction is what the version that its header names predicts, and that version is the champion."""
    given = [answer for answer in scene.answers if answer.status == OK]
    wrong = [answer for answer in given if not answer.right]
    if wrong or not given:
        versions = ", ".join(sorted({answer.version or "none" for answer in wrong})) or "none"
        said = f"{len(wrong):,} of {len(given):,} predictions are wrong (versions {versions})"
        return Finding("all_right", False, said)
    said = f"{len(given):,} predictions equal those of version {scene.version} itself, bit for bit"
    return Finding("all_right", True, said)


def share_is_back(scene: ServingScene, _strikes: Sequence[Strike]) -> Finding:
    """In the end the struck replica takes at least half of its fair part of the load."""
    last, fair = scene.final_share, scene.fair_share
    said = f"{scene.victim} gave {last:.0%} of the last {LAST} answers (an even share is {fair:.0%})"
    return Finding("share_is_back", last >= fair / 2, said)
