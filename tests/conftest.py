"""What all tests share."""

import signal
import threading

import pytest


def pytest_configure():
    """Listen to signals that whoever started the tests has switched off (``nohup``, ``&``).

    What is inherited reaches the programs under test, and they are told to stop by such signals.
    """
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGHUP, signal.SIGTERM):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_session(tmp_path_factory):
    """No test takes an answer from a run before it, nor leaves one to the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMCCIRCUIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _cache_of_the_test(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMCCIRCUIT_CACHE", str(tmp_path_factory.mktemp("cache")))
