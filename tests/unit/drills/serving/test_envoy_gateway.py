"""What the watch makes of what a gateway tells of its replicas."""

from koboshi.drills.serving.envoy_gateway import Gateway, ReplicaWatch
from koboshi.gateways.gateway import ReplicaSeen


class Silent(Gateway):
    """Its replica is not there."""

    def hosts(self) -> dict[int, ReplicaSeen]:
        return {}


def watched(*seen: tuple[float, bool, int]) -> ReplicaWatch:
    watch = ReplicaWatch(Silent("", ""), 7)
    watch.stop()
    watch.seen = list(seen)
    return watch


def test_trouble_is_a_failed_try_or_being_out_after_the_moment() -> None:
    """Failures that were counted before are no news."""
    assert watched((1, True, 2), (2, True, 2), (3, True, 5), (4, False, 5)).first_trouble(2) == 3
    assert watched((1, True, 2), (2, True, 2), (4, False, 2)).first_trouble(2) == 4
    assert watched((1, True, 2), (2, True, 2), (3, True, 2)).first_trouble(1) is None


def test_changes_are_told_with_their_moments() -> None:
    assert watched((1, True, 0), (2, False, 0), (3, False, 0), (4, True, 0)).changes() == [(2, False), (4, True)]
