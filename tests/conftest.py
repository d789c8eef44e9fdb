"""What all tests share."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_session(tmp_path_factory):
    """No test takes an answer from a run before it, nor leaves one to the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMCCIRCUIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _cache_of_the_test(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMCCIRCUIT_CACHE", str(tmp_path_factory.mktemp("cache")))
