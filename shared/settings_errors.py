"""What is wrong with settings, in the words of whoever wrote them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from shared.errors import ConfigError


def explain(errors: Sequence[ErrorDetails], origin: str, root: type[BaseModel]) -> ConfigError:
    """Return our error for pydantic's: the first setting of `root` that is wrong, and what is known or wanted there.

    An unknown name goes first: it may be why another is missing.
    """
    error = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    location = error["loc"]
    name = ".".join(str(step) for step in location) or "lines"
    if error["type"] == "extra_forbidden":
        known = sorted(_section(root, location[:-1]).model_fields)
        return ConfigError(
            f"{origin}: unknown setting {name!r}{suggestion(str(location[-1]), known)}",
            f"Known here: {', '.join(known)}.",
        )
    message = error["msg"].removeprefix("Value error, ")
    return ConfigError(f"{origin}: setting {name!r} cannot be used: {message[0].lower()}{message[1:]}")


def suggestion(name: str, known: Collection[str]) -> str:
    """Return a question for the known name that was meant; nothing where none is alike."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _section(root: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    """Return the model at a location; entries of lists and tables have their field's."""
    model = root
    for step in location:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - whatever a field may be annotated with
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)
