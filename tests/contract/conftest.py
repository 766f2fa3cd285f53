"""The stores that the contract suite runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.store.redis import RedisStore
from tests.stores import Rig


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def store_url(request: pytest.FixtureRequest) -> str:
    """Give the address of the adapter under test."""
    if request.param == "memory":
        return "memory://"
    url: str = request.getfixturevalue("redis_url")
    return url


@pytest.fixture
async def rig(store_url: str) -> AsyncIterator[Rig]:
    """Connect to the adapter under test."""
    rig = Rig(store_url)
    yield rig
    await rig.close()


@pytest.fixture
def store(rig: Rig) -> RedisStore:
    """Give the first of the two stores."""
    return rig.store
