"""The switch that ends simulators from another thread."""

import os
import threading

import pytest

from imccircuit.engines.halt import Halt, HaltedError, current_halt
from imccircuit.engines.process import run

LONG_S = 120.0  # only guards against hangs


def sleep(folder, seconds):
    return run(["sleep", str(seconds)], folder, timeout_s=LONG_S, env=dict(os.environ))


def test_a_thrown_switch_ends_what_runs_and_what_would_begin(tmp_path):
    halt, ended = Halt(), []

    def work():
        for _ in range(2):
            with halt.over(), pytest.raises(HaltedError):
                sleep(tmp_path, 600)
            ended.append(True)
        assert sleep(tmp_path, 0).exit_code == 0  # not under the switch
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    while not halt._running:
        thread.join(0.01)
    halt.throw()
    thread.join(LONG_S)
    assert ended == [True, True, True]
    assert not halt._running


def test_a_switch_is_of_its_thread_and_its_block(tmp_path):
    halt, other = Halt(), current_halt()
    halt.throw()
    with halt.over():
        assert current_halt() is halt
    assert current_halt() is other
    assert sleep(tmp_path, 0).exit_code == 0
