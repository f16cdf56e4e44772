"""Answers that no service gives: absurd in size or depth, or made to be evaluated.

What cannot be read is no answer, which a poller lives through. Nothing of it is evaluated.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiohttp import web

import greenroom
from greenroom.sources import ec2, workspaces

if TYPE_CHECKING:
    from collections.abc import Callable


def session(more: str) -> web.Response:
    body = f'{{"session": {{"sessionId": "s-1", "state": "READY", "more": {more}}}}}'
    return web.Response(text=body, content_type="application/json")


@pytest.mark.parametrize(
    "more", ["[" * 100_000, "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000]
)
def test_what_is_too_deep_is_no_answer(stub: Any, ask: Callable[..., Any], more: str) -> None:
    stub.says(session(more))
    with pytest.raises(greenroom.Unavailable, match="cannot be read"):
        ask(lambda sessions: sessions.describe(["s-1"]))


@pytest.mark.parametrize("more", ["NaN", "-Infinity", "1" * 100_000])
def test_what_is_no_number_is_no_answer(stub: Any, ask: Callable[..., Any], more: str) -> None:
    stub.says(session(more))
    with pytest.raises(greenroom.Unavailable, match="cannot be read"):
        ask(lambda sessions: sessions.describe(["s-1"]))


def test_what_is_large_is_read(stub: Any, ask: Callable[..., Any]) -> None:
    stub.says(session(json.dumps("x" * 20_000_000)))
    seen = ask(lambda sessions: sessions.describe(["s-1"]))
    assert len(seen["s-1"].resource["more"]) == 20_000_000


def described(connect: Any, url: str, id_: str) -> Any:
    async def main() -> Any:
        async with connect(endpoint_url=url, region_name="us-west-2") as source:
            return await source.describe([id_])

    return anyio.run(main)


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 50}">' for n in range(1, 9))


@pytest.mark.parametrize(
    ("types", "entity"),
    [
        (f'<!ENTITY e0 "{"x" * 1000}">{ENTITIES}', "&e8;"),
        ('<!ENTITY file SYSTEM "file:///etc/hostname">', "&file;"),
    ],
    ids=["a-bomb", "a-file"],
)
def test_entities_of_xml_are_not_followed(stub: Any, types: str, entity: str) -> None:
    item = f"<instanceId>i-12345678</instanceId><imageId>{entity}</imageId>"
    body = (
        f'<?xml version="1.0"?><!DOCTYPE a [{types}]><DescribeInstancesResponse><reservationSet>'
        f"<item><instancesSet><item>{item}</item></instancesSet></item></reservationSet>"
        "</DescribeInstancesResponse>"
    )
    stub.says(web.Response(text=body, content_type="text/xml"))
    with pytest.raises(greenroom.Unavailable, match="cannot be read"):
        described(ec2.connect, stub.url, "i-12345678")


def test_a_poller_lives_through_what_its_parser_does_not(stub: Any) -> None:
    good = {"Workspaces": [{"WorkspaceId": "ws-123456789", "State": "AVAILABLE"}]}
    odd = [web.Response(text="[" * 100_000, content_type="application/json", status=500)]
    odd += [web.Response(text='{"Workspaces": ' + "[" * 100_000, content_type="application/json")]
    stub.says(*odd, good)

    async def main() -> Any:
        async with workspaces.connect(endpoint_url=stub.url, region_name="us-west-2") as source:
            return await greenroom.wait(source, "ws-123456789", until="AVAILABLE", timeout=20)

    assert anyio.run(main).state == "AVAILABLE"


DANGEROUS = {"eval", "exec", "compile", "__import__", "pickle", "marshal", "shelve", "yaml"}


def test_nothing_is_evaluated_or_unpickled() -> None:
    root = Path(greenroom.__file__).parent
    found = []
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = [node.func.id]
            else:
                continue
            found += [(file.name, name) for name in names if name in DANGEROUS]
    assert found == []
