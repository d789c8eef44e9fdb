"""The results file in somebody else's hands, and a clock that jumps, while a run writes."""

import fcntl
import subprocess
import sys
import time

import h5py
import pytest
from sweep_helpers import contents, plan_of, run

from imccircuit.engines.contract import Status
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.sweeps import ledger
from imccircuit.sweeps.ledger import read_entries, work_folder
from imccircuit.sweeps.run import Stopper

HOLD = """
import h5py, sys
file = h5py.File(sys.argv[1], sys.argv[2], locking=True)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def opened():
    """Open a file in another process, as ``how``, until the test ends."""
    holders = []

    def begin(path, how):
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), how],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        holders.append(holder)
        assert holder.stdout.readline() == b"open\n"

    yield begin
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_a_reader_keeps_what_it_reads_and_stops_no_run(tmp_path, opened):
    output = tmp_path / "r.h5"
    run(plan_of(2), output)
    opened(output, "r")
    with h5py.File(output, "r", locking=True) as here:
        assert run(plan_of(3), output, mode="fresh").complete
        assert here["status"].shape == (2, 1)
        assert (here["status"][()] == Status.GOOD).all()
    assert read_results(output).dataset.sizes["point"] == 3


@pytest.mark.parametrize("mode", ["new", "resume", "fresh"])
def test_a_file_that_another_program_writes_is_not_replaced(tmp_path, opened, mode):
    """It cannot be looked into, so it may be anything."""
    output = tmp_path / "thesis.h5"
    with h5py.File(output, "w") as file:
        file["years"] = 3
    opened(output, "r+")
    with pytest.raises(UsageError, match=r"thesis\.h5 is open for writing in another program$"):
        run(plan_of(2), output, mode=mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.h5"]


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path, monkeypatch):
    """By a day at every look; the rate and the time left come from another clock."""
    output, seen = tmp_path / "r.h5", []
    now = iter(range(10**9, 0, -86400))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: float(next(now)))
        stopper = Stopper()
        run(plan_of(6, delay="1 ms"), output, stopper=stopper,
            progress=lambda s: stopper.request() if s.done > 2 else None)  # fmt: skip
        entries = list(read_entries(work_folder(output)))
        assert [e["elapsed_s"] for e in entries] == sorted(e["elapsed_s"] for e in entries)
        assert run(plan_of(6, delay="1 ms"), output, mode="resume", progress=seen.append).complete
    assert all(summary.rate > 0 and summary.left_s >= 0 for summary in seen)
    run(plan_of(6, delay="1 ms"), tmp_path / "whole.h5")
    assert contents(output) == contents(tmp_path / "whole.h5")


_BACKWARDS = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long seconds(void) { static long calls; return 1000000000 - 3600 * ++calls; }
int clock_gettime(clockid_t id, struct timespec *t) {
  long r = syscall(SYS_clock_gettime, id, t);
  if (id == CLOCK_REALTIME) t->tv_sec = seconds();
  return r;
}
time_t time(time_t *t) { long s = seconds(); if (t) *t = s; return s; }
int gettimeofday(struct timeval *t, void *z) { t->tv_sec = seconds(); t->tv_usec = 0; return 0; }
"""


@pytest.mark.ngspice
@pytest.mark.long
def test_a_clock_that_goes_backwards_for_all_programs(tmp_path):
    """Also for ngspice and for the cache: a library in front of the clock's system calls."""
    (tmp_path / "clock.c").write_text(_BACKWARDS)
    library = tmp_path / "clock.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "clock.c"], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler to build a clock that goes backwards")
    command = [sys.executable, "-m", "imccircuit", "run", "adc_sar8_mismatch", "-j", "2",
               "--set", "circuit.bits=4", "--samples", "30"]  # fmt: skip
    for name, preload in (("r", f"LD_PRELOAD={library}"), ("whole", "PLAIN=1")):
        words = ["env", preload, *command, "-o", str(tmp_path / f"{name}.h5")]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert contents(tmp_path / "r.h5") == contents(tmp_path / "whole.h5")
    with h5py.File(tmp_path / "r.h5") as file:
        assert str(file["run"].attrs["finished"]) < "2002"  # the clock was in front indeed
        assert file["run"].attrs["elapsed_s"] >= 0


def test_a_look_at_the_lock_does_not_stop_a_run(tmp_path, monkeypatch):
    """`imccircuit status` holds it for a moment, shared; the run comes again."""
    output = tmp_path / "r.h5"
    work_folder(output).mkdir()
    with (work_folder(output) / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        waits = []

        def look_ends(_seconds):
            waits.append(_seconds)
            fcntl.flock(file, fcntl.LOCK_UN)

        monkeypatch.setattr(ledger.time, "sleep", look_ends)
        assert run(plan_of(2), output).complete
    assert waits[0] < 1
