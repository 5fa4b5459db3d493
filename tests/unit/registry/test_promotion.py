import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.ledger.intents import Intent
from koboshi.registry.release import Contender, PromotionVerdict, judge_candidate, moved_by_hand, next_move

INTENT = Intent(id=1, slot="m@champion", expected=3, wanted=4)


def test_without_a_champion_the_candidate_is_promoted():
    """The first model needs nobody to be compared with."""
    assert judge_candidate(Contender(1, 0.1), None, 0.0).outcome == "promote"


def test_the_champion_itself_is_kept():
    """Promoting twice changes nothing the second time."""
    assert judge_candidate(Contender(3, 0.5), Contender(3, 0.5), 0.0).outcome == "keep"


@pytest.mark.parametrize(
    ("score", "outcome"), [(0.70, "promote"), (0.68, "promote"), (0.6799, "refuse"), (math.nan, "refuse")]
)
def test_a_candidate_may_be_worse_by_the_bound_and_not_by_more(score, outcome):
    """The bound of params.yaml decides, and it belongs to the allowed side."""
    verdict = judge_candidate(Contender(4, score), Contender(3, 0.70), 0.02)
    assert verdict.outcome == outcome
    assert "version 4" in verdict.reason


def test_a_refusal_names_both_scores_and_the_bound():
    """Whoever reads the refusal sees the numbers that it rests on."""
    reason = judge_candidate(Contender(4, 0.5), Contender(3, 0.7), 0.02).reason
    assert all(part in reason for part in ("0.5000", "0.7000", "0.02", "champion 3"))


def test_the_bound_is_to_the_best_that_the_slot_has_served():
    """Little by little is too much, and the refusal names what it is measured by; a version without a score is none."""
    earlier = [Contender(1, 0.70), Contender(2, 0.69), Contender(9, math.nan)]
    refused = judge_candidate(Contender(4, 0.67), Contender(3, 0.68), 0.02, earlier)
    assert refused == PromotionVerdict(
        "refuse",
        "version 4 scores 0.6700, champion 3 0.6800, version 1, the best that was served, 0.7000: "
        "worse by more than the 0.02 that is allowed.",
    )
    assert judge_candidate(Contender(4, 0.68), Contender(3, 0.68), 0.02, earlier).outcome == "promote"


def test_without_an_alias_the_best_that_was_served_is_still_the_measure():
    """Who removes an alias does not lower the bound."""
    verdict = judge_candidate(Contender(4, 0.5), None, 0.02, [Contender(1, 0.7)])
    assert verdict.outcome == "refuse"
    assert "there is no champion" in verdict.reason


def test_a_version_that_was_served_before_is_not_its_own_measure():
    """It may come back, if it is good enough beside the others."""
    assert (
        judge_candidate(Contender(1, 0.7), Contender(3, 0.71), 0.02, [Contender(1, 0.7), Contender(2, 0.6)]).outcome
        == "promote"
    )


@given(
    scores=st.lists(st.sampled_from([math.nan, *(hundredth / 100 for hundredth in range(20))]), max_size=30),
    max_drop=st.sampled_from([0.0, 0.01, 0.02, 0.1]),
)
def test_over_any_sequence_of_candidates_quality_does_not_walk_down(scores, max_drop):
    """What is served on fixed rows never scores less than the best that was ever served there, but for the bound."""
    champion, served = None, []
    for version, score in enumerate(scores, start=1):
        candidate = Contender(version, score)
        if judge_candidate(candidate, champion, max_drop, served).outcome == "promote":
            champion = candidate
            served.append(candidate)
            assert champion.score >= max(one.score for one in served) - max_drop


@pytest.mark.parametrize(
    ("alias", "exists", "action"),
    [
        (3, True, "point"),
        (4, True, "done"),
        (4, False, "done"),
        (3, False, "taken back"),
        (None, True, "taken back"),
        (9, True, "taken back"),
    ],
)
def test_an_open_intent_has_a_next_step_in_every_state(alias, exists, action):
    """I8: a release is finished or taken back, whatever is found."""
    assert next_move(INTENT, alias, wanted_exists=exists).action == action


@given(alias=st.none() | st.integers(1, 9), exists=st.booleans())
def test_following_the_steps_ends_after_at_most_one_move(alias, exists):
    """I8: there is no state from which a release goes round in circles."""
    move = next_move(INTENT, alias, wanted_exists=exists)
    if move.action == "point":
        move = next_move(INTENT, INTENT.wanted, wanted_exists=exists)
    assert move.action in {"done", "taken back"}


def test_a_move_by_hand_is_seen_and_told():
    """An alias that is not where the ledger left it was moved by somebody else."""
    assert moved_by_hand(None, None) is None
    assert moved_by_hand(INTENT, 4) is None
    assert moved_by_hand(INTENT, 7) == "moved by hand from version 4 to version 7"
    assert moved_by_hand(INTENT, None) == "moved by hand from version 4 to nothing"
    assert moved_by_hand(None, 2) == "moved by hand from nothing to version 2"
