"""What the tests of the shell share."""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from loguru import logger as loguru_logger

from rolecall.logs import OURS, QUIET
from rolecall.settings import CUSTOMARY


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine configures the test."""
    for name in list(os.environ):  # noqa: TID251
        if name in CUSTOMARY or name.upper().startswith("ROLECALL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """What a test does to logging ends with it."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in (*OURS, *QUIET)}
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(False)
    loguru_logger.remove()
    structlog.reset_defaults()
