"""The API's OpenAPI schema as a page shows it: no script from anywhere is needed for that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """Something that an operation takes."""

    name: str
    where: str
    kind: str
    required: bool
    said: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API."""

    method: str
    path: str
    tag: str
    said: str
    fields: tuple[Field, ...]


def operations(schema: dict[str, Any]) -> list[Operation]:
    """Return all operations of a schema, by path."""
    return [
        Operation(
            method.upper(),
            path,
            (found.get("tags") or [""])[0],
            found.get("description", found.get("summary", "")),
            (*_parameters(found), *_body(found, schema)),
        )
        for path, methods in sorted(schema["paths"].items())
        for method, found in methods.items()
    ]


def _parameters(operation: dict[str, Any]) -> list[Field]:
    return [
        Field(one["name"], one["in"], _kind(one["schema"]), one.get("required", False), one.get("description", ""))
        for one in operation.get("parameters", [])
    ]


def _body(operation: dict[str, Any], schema: dict[str, Any]) -> list[Field]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = content.get("$ref", "").rpartition("/")[2]
    if not name:
        return []
    model = schema["components"]["schemas"][name]
    required = model.get("required", [])
    return [
        Field(field, "body", _kind(said), field in required, said.get("description", ""))
        for field, said in model.get("properties", {}).items()
    ]


def _kind(said: dict[str, Any]) -> str:
    """Return a type in a few words: `integer, 0 to 1440`."""
    if "anyOf" in said:
        return " or ".join(_kind(one) for one in said["anyOf"])
    if "$ref" in said:
        return str(said["$ref"]).rpartition("/")[2]
    if "enum" in said:
        return " | ".join(str(one) for one in said["enum"])
    kind = str(said.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(said.get('items', {}))}"
    low, high = said.get("minimum"), said.get("maximum")
    return kind if low is None and high is None else f"{kind}, {low} to {high}"
