"""Fixture of the fault tests."""

import contextlib
import os
import signal

import pytest
from fake import Fake, is_alive


@pytest.fixture
def fake(tmp_path):
    made = Fake(tmp_path)
    yield made
    for pid in made.processes():  # only what a failed test left behind
        if is_alive(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
