import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.account import Role
from tests.console.practice import Client, Practice, open_practice


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    file = tmp_path / "only.db"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
async def practice(sqlite_url: str) -> AsyncIterator[Practice]:
    """A server with nothing configured."""
    async with open_practice(sqlite_url) as practice:
        yield practice


@pytest.fixture
async def trainee(practice: Practice) -> AsyncIterator[Client]:
    async with practice.client(practice.token("Alex", Role.TRAINEE)) as client:
        yield client


@pytest.fixture
async def other_trainee(practice: Practice) -> AsyncIterator[Client]:
    async with practice.client(practice.token("Robin", Role.TRAINEE)) as client:
        yield client


@pytest.fixture
async def trainer(practice: Practice) -> AsyncIterator[Client]:
    async with practice.client(practice.token("Toni", Role.TRAINER)) as client:
        yield client


@pytest.fixture
async def supervisor(practice: Practice) -> AsyncIterator[Client]:
    async with practice.client(practice.token("Sam", Role.SUPERVISOR)) as client:
        yield client
