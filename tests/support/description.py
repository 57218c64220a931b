"""What api/openapi.yaml says, and whether an answer is as it says.

    DESCRIPTION.check("POST", "/workspaces", 201, headers, body)

`tests.support.api` asks it about every answer that it gets, so that no test sees a status, a body or a
header that is not declared there.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_FILE = Path(__file__).resolve().parent.parent.parent / "api" / "openapi.yaml"
_METHODS = ("get", "put", "post", "delete")
_URI = "urn:openapi"
_ANYWHERE = {429}
"""A limit, and what is not routed, is declared by no operation."""


class Description:
    """The document, as values."""

    @cached_property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load(_FILE.read_text())
        return document

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path and operation of each."""
        for path, item in self.document["paths"].items():
            for method in _METHODS:
                if method in item:
                    yield method.upper(), path, item[method]

    def find(self, path: str, method: str | None = None) -> str | None:
        """The path of the document that `path`, a real one, is of.

        Constants come before parameters, and before that what has `method`: a plugin may be called
        `available`, and then be uninstalled.
        """
        found = self.fitting(path)
        return min(
            found,
            key=lambda known: (_declared(method) not in self.document["paths"][known], known.count("{")),
            default=None,
        )

    def fitting(self, path: str) -> list[str]:
        """Every path of the document that `path` could be of."""
        return [known for known in self.document["paths"] if _pattern(known).fullmatch(path)]

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Raise AssertionError unless this answer is one that the document declares."""
        about = f"{method} {path} answered {status}"
        known = self.find(path.partition("?")[0], method)
        operation = self.document["paths"][known].get(_declared(method)) if known else None
        if operation is None:
            preflight = {204} if method == "OPTIONS" else set()
            expected = {405 if known else 404} | _ANYWHERE | preflight
            assert status in expected, f"{about}, which is not routed"
            return
        assert str(status) in operation["responses"], f"{about}, which is not declared"
        response = self._resolved(operation["responses"][str(status)])
        for name, header in response.get("headers", {}).items():
            if name in headers or self._resolved(header).get("required"):
                self._check_header(about, name, headers.get(name), self._resolved(header)["schema"])
        if method != "HEAD" and "content" in response:
            self._check_body(about, response["content"], headers.get("Content-Type", ""), body)

    def _check_header(self, about: str, name: str, value: str | None, schema: dict[str, Any]) -> None:
        assert value is not None, f"{about} without {name}"
        number = schema.get("type") == "integer" and value.isdecimal()
        self._check(f"{about} with {name}", schema, int(value) if number else value)

    def _check_body(self, about: str, content: Mapping[str, Any], content_type: str, body: bytes) -> None:
        media_type = content_type.partition(";")[0]
        assert media_type in content, f"{about} as {content_type}"
        if media_type == "application/json":
            assert content_type == "application/json; charset=utf-8", f"{about} as {content_type}"
            self._check(about, content[media_type]["schema"], json.loads(body))

    def _check(self, about: str, schema: dict[str, Any], value: object) -> None:
        problems = [
            f"{error.json_path}: {error.message}" for error in self._validator(schema).iter_errors(value)
        ]
        assert not problems, f"{about}, which is not as declared: {'; '.join(problems)[:1000]}"

    def _validator(self, schema: dict[str, Any]) -> OAS31Validator:
        return OAS31Validator(_absolute(schema), registry=self._registry, format_checker=oas31_format_checker)

    @cached_property
    def _registry(self) -> Registry[Any]:
        resource = DRAFT202012.create_resource(self.document)
        registry: Registry[Any] = Registry().with_resource(_URI, resource)
        return registry

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value


def _declared(method: str | None) -> str:
    return "get" if method == "HEAD" else (method or "").lower()


def _absolute(schema: Any) -> Any:
    """The same, with references that can be followed from outside of the document."""
    if isinstance(schema, dict):
        return {key: f"{_URI}{value}" if key == "$ref" else _absolute(value) for key, value in schema.items()}
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))


DESCRIPTION = Description()
