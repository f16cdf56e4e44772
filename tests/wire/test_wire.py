"""Every fault of the wire under every operation: nothing is lost, doubled, leaked or given up."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from aiobotocore.session import AioSession
from tests.wire.cells import play
from tests.wire.faults import FAULTS
from tests.wire.operations import OPERATIONS
from tests.wire.table import told

from greenroom.sources import _aws

ON_TRIO = (
    *("ValidationException", "ResourceNotFoundException", "4xx", "truncated", "within"),
    *("server hangs", "answer too late", "60 s outage", "half-open socket: nothing arrives"),
    *("half-open socket: answers are lost", "server restart", "DNS gone", "TLS refused"),
)
"""The faults that another HTTP client than asyncio's may take otherwise."""


def name(fault):
    return fault.row if not fault.case else fault.case


def rows(backend, faults):
    return [pytest.param(fault, backend, id=f"{name(fault)}, {backend}") for fault in faults]


async def play_row(fault, portal, certificate, folder):
    """Play all operations side by side, and return what each did."""
    did: dict[str, str] = {}
    session = AioSession()  # what it has read of botocore's files is shared

    async def cell(operation):
        own = folder / operation.name
        own.mkdir()
        did[operation.name] = await play(operation, fault, portal, certificate, own, session)

    async with anyio.create_task_group() as tasks:
        for operation in OPERATIONS:
            tasks.start_soon(cell, operation)
    return did


def open_files():
    return len([*Path("/dev/fd").iterdir()])


@pytest.mark.parametrize(
    ("fault", "backend"),
    [
        *rows("asyncio", FAULTS),
        *rows("trio", [fault for fault in FAULTS if name(fault) in ON_TRIO]),
    ],
)
def test_a_fault_does_what_the_table_says(
    fault, backend, portal, certificate, tmp_path, monkeypatch
):
    monkeypatch.setattr(_aws, "READ_TIMEOUT", fault.patience)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    before = open_files()
    with fault.around():
        did = anyio.run(play_row, fault, portal, certificate, tmp_path, backend=backend)
    assert open_files() == before
    assert did == told()[fault.row]


def test_the_table_tells_of_the_faults_that_were_played():
    assert [*told()] == [*dict.fromkeys(fault.row for fault in FAULTS)]


def test_every_fault_of_trio_is_one_of_asyncio():
    assert set(ON_TRIO) < {name(fault) for fault in FAULTS}
