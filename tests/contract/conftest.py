"""The stores that the contract suite runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stores import AnyStore, InRedis, Rig


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
async def inside(redis_url: str) -> AsyncIterator[tuple[Rig, InRedis]]:
    """Connect to Redis, for what its keys alone can show."""
    rig = Rig(redis_url)
    assert isinstance(rig.inside, InRedis)
    yield rig, rig.inside
    await rig.close()


@pytest.fixture
def store(rig: Rig) -> AnyStore:
    """Give the first of the two stores."""
    return rig.store
