import errno
from pathlib import Path

import pytest

from koboshi.errors import Corrupt, DiskFailed, NotConfigured
from koboshi.files import (
    naming_refusals,
    publish,
    publish_bytes,
    sha256_of,
    tree_digest,
    user_name,
    verified_bytes,
    verify,
)

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_published_bytes_have_their_digest(tmp_path: Path) -> None:
    """The digest is the published test vector's (FIPS 180-2), the size is in bytes."""
    published = publish_bytes(tmp_path / "new" / "a", b"abc")
    assert (published.sha256, published.size_bytes) == (SHA256_OF_ABC, 3)
    assert sha256_of(published.path) == SHA256_OF_ABC


def test_a_name_may_carry_the_digest(tmp_path: Path) -> None:
    published = publish(tmp_path, lambda sha256: f"x-{sha256[:8]}", lambda path: path.write_bytes(b"abc") and None)
    assert published.path.name == "x-ba7816bf"


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    """I2: the final name keeps what it held, and no temporary file stays."""
    publish_bytes(tmp_path / "a", b"old")

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(tmp_path, "a", fail)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, r"the disk of .* is full \(No space left on device\): make room, then run it again\."),
        (errno.EIO, r"the disk of .* fails \(Input/output error\): mend it \(see dmesg\), then run it again\."),
    ],
)
def test_a_disk_that_is_full_or_fails_is_worth_another_try(tmp_path: Path, number: int, sentence: str) -> None:
    """Exit 75, and one sentence that says what to do; what is no failure of the disk stays what it is."""

    def fail(_path: Path) -> None:
        raise OSError(number, "from the disk")

    with pytest.raises(DiskFailed, match=sentence) as caught:
        publish(tmp_path, "a", fail)
    assert caught.value.exit_code == 75
    assert list(tmp_path.iterdir()) == []
    number = errno.EBADF
    with pytest.raises(OSError, match="from the disk"):
        publish(tmp_path, "a", fail)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_the_system_refuses_is_not_tried_again(tmp_path: Path, number: int) -> None:
    """Exit 65: it is refused as long as nobody changes rights, owner or mount."""

    def fail(_path: Path) -> None:
        raise OSError(number, "refused")

    with pytest.raises(NotConfigured, match=f"{tmp_path} is refused to user .*, its owner: see its rights") as caught:
        publish(tmp_path, "a", fail)
    assert caught.value.exit_code == 65
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotConfigured), naming_refusals():
        raise OSError(number, "refused", str(tmp_path / "deep" / "er"))
    with pytest.raises(OSError, match="no file"), naming_refusals():
        raise OSError(number, "no file")


def test_a_user_without_a_name_is_named_by_number() -> None:
    assert (user_name(0), user_name(2**31 - 5)) == ("root", "2147483643")


def test_a_flipped_bit_is_refused_and_named(tmp_path: Path) -> None:
    """I2: the message names what, where, and how to mend it."""
    path = publish_bytes(tmp_path / "a", b"abc").path
    assert verified_bytes(path, SHA256_OF_ABC, "span", "land it again") == b"abc"
    verify(path, SHA256_OF_ABC, "span", "land it again")
    path.write_bytes(b"abb")
    for check in (verify, verified_bytes):
        with pytest.raises(Corrupt, match=rf"span {path} is .* but ba7816bf8f01 was recorded: land it again"):
            check(path, SHA256_OF_ABC, "span", "land it again")


def test_a_missing_file_is_corrupt_not_a_crash(tmp_path: Path) -> None:
    for check in (verify, verified_bytes):
        with pytest.raises(Corrupt, match="is missing"):
            check(tmp_path / "a", SHA256_OF_ABC, "span", "land it again")


def test_a_tree_digest_sees_names_and_bytes_but_not_what_it_is_told_to_leave_out(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "x" / "a", b"1")
    first = tree_digest(tmp_path)
    publish_bytes(tmp_path / "left-out", b"2")
    assert tree_digest(tmp_path, without=frozenset({"left-out"})) == first
    assert tree_digest(tmp_path) != first
    (tmp_path / "left-out").unlink()
    (tmp_path / "x" / "a").rename(tmp_path / "x" / "b")
    assert tree_digest(tmp_path) != first
