"""Folders of simulators: gone afterwards, also when who made them was killed."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imccircuit.engines import scratch
from imccircuit.engines.scratch import remove_abandoned, scratch_folder

HOST = scratch._PREFIX
HOLD = """
import os, sys
from imccircuit.engines.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "below").mkdir()
    (folder / "below" / "points.raw").write_text("1")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where temporary folders are made, here and in processes started from here."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    scratch._remove_abandoned_once.cache_clear()
    return tmp_path


@pytest.fixture
def other(place):
    """A process that works in a scratch folder, and that folder's name."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def names(place):
    return sorted(entry.name for entry in place.iterdir())


def test_a_folder_is_empty_at_first_and_gone_at_last(place):
    with scratch_folder() as one, scratch_folder() as two:
        assert (one.parent, two.parent) == (place, place)
        assert one != two
        (one / "main.cir").write_text("deck")
        assert names(two) == []
    assert names(place) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_left_goes_with_the_next_one(place, other, number):
    process, left = other
    with scratch_folder() as folder:
        assert names(place) == sorted([left.name, folder.name])
    process.send_signal(number)
    process.wait()
    assert names(place) == [left.name]
    scratch._remove_abandoned_once.cache_clear()
    with scratch_folder() as folder:
        assert names(place) == [folder.name]


def test_a_living_process_keeps_its_folder(place, other):
    process, _ = other
    assert remove_abandoned(place) == 0
    process.communicate("")  # which tells it to end by itself
    assert process.returncode == 0
    assert names(place) == []


def test_nothing_else_is_removed(place, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("results")
    (elsewhere / "night.h5").write_text("kept")
    (place / f"{HOST}abcd1234").symlink_to(elsewhere)
    (place / f"{HOST}abcd1235").write_text("a file")
    for name in (
        "imccircuit-results",
        "imccircuit-scratch-mine",
        "scratch",
        "imccircuit-scratch-another-host-abcd1234",
    ):
        (place / name).mkdir()
    before = names(place)
    assert remove_abandoned(place) == 0
    assert names(place) == before
    assert names(elsewhere) == ["night.h5"]


def test_a_folder_of_another_user_is_left(place, monkeypatch):
    (place / f"{HOST}abcd1234").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert remove_abandoned(place) == 0
    assert remove_abandoned(place) == 1


@pytest.mark.parametrize("moment", ["opened", "locked"])
def test_one_taken_for_abandoned_before_it_was_locked_is_made_again(place, monkeypatch, moment):
    taken, opened, flock = [], scratch._opened, scratch.fcntl.flock

    def take(*_):
        if not taken:
            taken.append(None)
            taken[0] = remove_abandoned(place)

    def open_late(folder):
        take()
        return opened(folder)

    def lock_late(descriptor, operation):
        take()
        flock(descriptor, operation)

    if moment == "opened":
        monkeypatch.setattr(scratch, "_opened", open_late)
    else:
        monkeypatch.setattr(scratch.fcntl, "flock", lock_late)
    with scratch_folder() as folder:
        assert taken == [1]
        assert names(place) == [folder.name]
        assert remove_abandoned(place) == 0
    assert names(place) == []


def test_without_locks_for_folders_it_works_and_removes_nothing(place, monkeypatch):
    def none(*_):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(scratch.fcntl, "flock", none)
    (place / f"{HOST}abcd1234").mkdir()
    with scratch_folder() as folder:
        assert len(names(place)) == 2
        assert folder.is_dir()
    assert names(place) == [f"{HOST}abcd1234"]
