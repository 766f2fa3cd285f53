"""Changes to a line's policy as people write them: `reject_at=2.5`, `per_camera.top.masks=none`. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from typing import Any

from shared.errors import ConfigError
from shared.policy import LinePolicy, misfit, policy_from


def edit_of(assignments: Sequence[str], cameras: Sequence[str]) -> Callable[[LinePolicy], LinePolicy]:
    """Return the change that `KEY=VALUE` words make of a policy; `none` takes a setting away."""
    wanted = [_assignment(word) for word in assignments]

    def edit(old: LinePolicy) -> LinePolicy:
        values = old.model_dump(mode="json")
        for word, (path, value) in zip(assignments, wanted, strict=True):
            _put(values, path, value, word)
        new = policy_from(values, " ".join(assignments))
        problem = misfit(new, cameras)
        if problem is not None:
            raise ConfigError(problem)
        return new

    return edit


def _assignment(word: str) -> tuple[list[str], Any]:
    key, equals, text = word.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{word!r} is not KEY=VALUE", "Write it as reject_at=2.5 or runs.rejects_in_a_row=5.")
    text = text.strip()
    if text == "none":
        return key.strip().split("."), None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    except RecursionError:
        raise ConfigError(f"{key.strip()}: the value is nested too deeply", "Write it as reject_at=2.5.") from None
    return key.strip().split("."), value


def _put(values: dict[str, Any], path: Sequence[str], value: object, word: str) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{word!r}: {step} holds no settings of its own")
    if value is None:
        values.pop(path[-1], None)
    else:
        values[path[-1]] = value
