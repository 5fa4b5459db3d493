"""What is served and what is refused, per slot, from what the replicas say."""

from koboshi.stack.status import SlotState, seen_by, sentence


def replica(name, version, *, slot="champion", alias=None, gone=False, refused=None):
    told = {"version": refused, "reason": f"version {refused} has no recorded digest."} if refused else None
    return {"replica": name, "slot": slot, "version": version, "alias": alias, "alias_gone": gone, "refused": told}


def test_an_alias_that_was_set_by_hand_to_a_version_that_is_refused_is_seen():
    """The old version answers; both are named."""
    [champion] = seen_by([replica(f"replica-{n}", 1, alias=2, refused=2) for n in (1, 2)])
    assert champion.served == {1: ("replica-1", "replica-2")}
    assert sentence(champion) == (
        "slot champion: the alias is at version 2; version 1 answers (replica-1, replica-2); "
        "version 2 is refused: version 2 has no recorded digest"
    )


def test_replicas_that_differ_and_slots_beside_each_other_are_kept_apart():
    """While an alias moves, two versions answer."""
    told = [replica("a", 1, alias=2), replica("b", 2, alias=2), replica("c", 7, slot="trial", alias=7)]
    assert seen_by(told) == [
        SlotState("champion", 2, False, {1: ("a",), 2: ("b",)}, {}),
        SlotState("trial", 7, False, {7: ("c",)}, {}),
    ]


def test_an_alias_that_is_gone_is_told_from_one_that_was_never_set():
    """In the first case a version answers."""
    [gone], [never] = seen_by([replica("a", 1, gone=True)]), seen_by([replica("a", None)])
    assert sentence(gone) == "slot champion: the alias is gone; version 1 answers (a)"
    assert sentence(never) == "slot champion: the alias is not set; no version answers"


def test_a_replica_of_an_older_koboshi_says_less():
    """Its fields are not required."""
    assert seen_by([{"slot": "champion", "version": 3}]) == [
        SlotState("champion", None, False, {3: ("a replica",)}, {})
    ]
