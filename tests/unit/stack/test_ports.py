"""Every port from one block; two stacks never share one."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.errors import NotConfigured
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import BLOCK, USED_OFFSETS, Ports, choose_base, claim_block, is_free, kept_base


def free_but(*taken: int) -> Callable[[int], bool]:
    return lambda port: port not in taken


def test_the_wanted_block_is_taken_when_it_is_free() -> None:
    """`[stack] base_port` says where to begin."""
    assert choose_base(24_000, None, frozenset(), 32_768, free_but()) == 24_000


def test_a_taken_port_moves_the_whole_block() -> None:
    """Nobody has to look for the port that is in the way."""
    assert choose_base(24_000, None, frozenset(), 32_768, free_but(24_003, 24_150)) == 24_200


def test_the_block_of_last_time_comes_first_so_that_addresses_stay() -> None:
    """A bookmark goes on working, unless somebody else sits there now."""
    assert choose_base(24_000, 25_000, frozenset(), 32_768, free_but()) == 25_000
    assert choose_base(24_000, 25_000, frozenset(), 32_768, free_but(25_001)) == 24_000


def test_a_block_that_another_stack_claims_is_left_to_it() -> None:
    """Its parts may not listen yet."""
    assert choose_base(24_000, None, frozenset({24_000}), 32_768, free_but()) == 24_100


def test_no_block_reaches_into_the_ports_that_the_kernel_hands_out() -> None:
    """And when there is none left, one sentence says what to do."""
    assert choose_base(32_600, None, frozenset(), 32_768, free_but()) == 32_600
    with pytest.raises(NotConfigured, match=r"stop another stack, or set .stack. base_port lower"):
        choose_base(32_600, None, frozenset({32_600}), 32_768, free_but())


def test_an_offset_outside_of_the_block_is_a_mistake() -> None:
    """It would be another stack's port."""
    assert Ports(24_000).at(USED_OFFSETS - 1) < 24_000 + BLOCK
    with pytest.raises(ValueError, match="outside of the block"):
        Ports(24_000).at(USED_OFFSETS)


def test_two_stacks_claim_two_blocks_and_a_removed_clone_claims_none(tmp_path: Path) -> None:
    """Claims are seen by others before anything listens."""
    first, second, third = (StackPaths(tmp_path, tmp_path / name, tmp_path / "run" / name) for name in "abc")
    for paths in (first, second, third):
        paths.own.mkdir(parents=True)
        paths.runtime.mkdir(parents=True)
        (paths.runtime / "state_dir").write_text(str(paths.state_dir))
    base = claim_block(first, 20_000).base
    assert claim_block(second, base).base >= base + BLOCK
    assert kept_base(first) == base
    (first.runtime / "state_dir").write_text(str(tmp_path / "removed"))
    assert claim_block(third, base).base == base


def test_a_listening_port_is_not_free() -> None:
    """Whoever listens there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])
