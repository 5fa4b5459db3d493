"""Beats of real processes, as the benchmark of the detector takes them."""

from benchmarks.detector.recording import record


def test_beats_are_recorded_from_real_processes() -> None:
    """However long a busy machine takes to start them."""
    recorded = record(2, 0.0, lambda _: None)
    assert [times[0] for times in recorded] == [0.0, 0.0]
    assert all(len(times) >= 2 for times in recorded)
