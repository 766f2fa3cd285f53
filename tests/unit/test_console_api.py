"""Whatever is sent to the API, it answers in its own words: no server error, by schemathesis on its OpenAPI schema."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok

from alerting.console.rights import EVERYTHING
from shared.domain import Outcome
from tests.consoles import LINE, Hall, hall

EXAMPLES = 12


class Program:
    """A program with every right on a console where something happened, for tests that are not asynchronous."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.hall, self._client = runner.run(self._open())
        self.schema: dict[str, Any] = runner.run(self._get("/api/openapi.json")).json()

    def send(self, request: dict[str, Any]) -> httpx.Response:
        """Send a request."""
        return self._runner.run(self._client.request(**request))

    def close(self) -> None:
        """Close."""
        self._runner.run(self.hall.close())

    async def _open(self) -> tuple[Hall, httpx.AsyncClient]:
        opened = Hall()
        await opened.runs()
        await opened.stands()
        for index in range(5):
            done = await opened.settle(f"p{index}", Outcome.REJECT if index == 3 else Outcome.PASS, score=3.0)
            await opened.keeps(done)
        return opened, await opened.program(*EVERYTHING)

    async def _get(self, path: str) -> httpx.Response:
        return await self._client.get(path)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """Open a console for the whole module."""
    with asyncio.Runner() as runner:
        opened = Program(runner)
        yield opened
        opened.close()


@pytest.mark.timeout(120)
def test_no_request_leads_to_a_server_error(program: Program) -> None:
    """Of any operation but the stream, which has no end; valid and invalid requests, headers and bodies."""
    schema = schemathesis.openapi.from_dict(program.schema).exclude(path="/api/v1/events")
    answered: dict[int, int] = {}
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 20
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            )
            def check(case: schemathesis.Case[Any]) -> None:
                answer = program.send(request_of(case))
                answered[answer.status_code] = answered.get(answer.status_code, 0) + 1
                assert answer.status_code < 500, f"{case.method} {case.formatted_path}: {answer.text}"

            # An operation that takes nothing cannot be sent anything wrong.
            with suppress(Unsatisfiable):
                check()
    assert answered.get(200, 0) > EXAMPLES
    assert answered.get(422, 0) > EXAMPLES


def request_of(case: schemathesis.Case[Any]) -> dict[str, Any]:
    """Return a case as httpx takes it."""
    kwargs = case.as_transport_kwargs(base_url="http://console")
    known = {"method", "url", "params", "json", "headers", "cookies"}
    request = {name: value for name, value in kwargs.items() if name in known and value is not None}
    headers = {
        name: value for name, value in dict(request.pop("headers", {})).items() if name.lower() != "authorization"
    }
    if kwargs.get("data") is not None:
        request["content" if isinstance(kwargs["data"], str | bytes) else "data"] = kwargs["data"]
    request.pop("cookies", None)
    return {**request, "headers": headers}


@pytest.mark.parametrize("last_id", ["", "\u00ff", "x" * 64, "0-0", "é-1", "-", "00000000-999999999999999999999"])
async def test_the_stream_begins_whatever_is_said_to_be_the_last_event(last_id: str) -> None:
    """A browser may send anything."""
    async with hall() as opened:
        stream = opened.context.hub.stream(lambda line: line == LINE, last_id)
        assert b"event: snapshot" in await anext(stream)
        await stream.aclose()


async def test_the_schema_names_every_scope_and_no_page() -> None:
    """It is for programs, is for those who are signed in alone, and every operation says what it does."""
    async with hall() as opened:
        robot = await opened.program(*EVERYTHING)
        schema = (await robot.get("/api/openapi.json")).json()
        assert all(path.startswith("/api/v1/") for path in schema["paths"])
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                assert operation["description"].strip(), (method, path)
        page = (await (await opened.signed_in()).get("/api")).text
        for path in schema["paths"]:
            assert path in page
