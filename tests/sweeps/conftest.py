"""What the tests of runs share."""

import os

import pytest


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log.txt"
    monkeypatch.setenv("IMC_TEST_LOG", str(path))
    monkeypatch.setenv("IMC_TEST_MAIN", str(os.getpid()))
    return path
