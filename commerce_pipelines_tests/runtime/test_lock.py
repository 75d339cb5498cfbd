import threading
from pathlib import Path

from commerce_pipelines.runtime.lock import OwnerLock


def test_two_owners_exclude_each_other(tmp_path: Path) -> None:
    first, second = OwnerLock(tmp_path / "lock"), OwnerLock(tmp_path / "lock")

    assert first.acquire()
    assert not second.acquire(patience_seconds=60)
    first.release()
    assert second.acquire()
    second.release()


def test_an_owner_takes_its_lock_twice(tmp_path: Path) -> None:
    lock = OwnerLock(tmp_path / "lock")

    assert lock.acquire()
    assert lock.acquire()
    lock.release()


def test_a_leaving_owner_is_waited_for(tmp_path: Path) -> None:
    first, second = OwnerLock(tmp_path / "lock"), OwnerLock(tmp_path / "lock")
    assert first.acquire()
    first.announce_leaving()
    leave = threading.Timer(2.0, first.release)
    leave.start()

    assert not second.acquire()
    assert second.acquire(patience_seconds=60)
    second.release()
    leave.join()


def test_a_killed_owner_is_given_a_moment(tmp_path: Path) -> None:
    first, second = OwnerLock(tmp_path / "lock"), OwnerLock(tmp_path / "lock")
    assert first.acquire()
    disappear = threading.Timer(0.1, first.release)
    disappear.start()

    assert second.acquire()
    second.release()
    disappear.join()


def test_a_new_owner_is_not_taken_for_leaving(tmp_path: Path) -> None:
    first, second = OwnerLock(tmp_path / "lock"), OwnerLock(tmp_path / "lock")
    assert first.acquire()
    first.announce_leaving()
    first.release()

    assert second.acquire()
    assert not first.acquire(patience_seconds=60)
    second.release()
