"""The wire itself: a TCP proxy before the simulator, which breaks below HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit


class _Link:
    """One client's connection, and the one to the simulator that belongs to it."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near, self.far = near, far
        self.hears = self.answers = True

    def abort(self) -> None:
        for end in (self.near, self.far):
            end.transport.abort()


class Line:
    """A line to a server on this machine.

    Args:
        url: The server's URL.
        certificate: With what the near end speaks TLS; None for plain TCP.

    Attributes:
        port: Where it listens, whatever becomes of it.
        refuses_tls: Whether it breaks off each handshake.
    """

    def __init__(self, url: str, certificate: Path | None = None) -> None:
        parts = urlsplit(url)
        self._far = (parts.hostname, parts.port)
        self._tls = None if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._tls is not None:
            self._tls.load_cert_chain(str(certificate))
            self._tls.sni_callback = self._greet
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._loses: tuple[str, ...] = ()
        self._idle = asyncio.Event()
        self.port = 0
        self.refuses_tls = False

    async def up(self) -> None:
        """Take connections, and carry what is sent."""
        self._loses = ()
        self.refuses_tls = False
        if self._server is None:
            self._server = await asyncio.start_server(
                self._carry, "127.0.0.1", self.port, ssl=self._tls
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Break every connection off, and refuse others."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.break_off()

    def break_off(self) -> None:
        """Break every connection off."""
        for link in self._links:
            link.abort()

    def lose(self, *ways: str) -> None:
        """Lose what is sent, without a word, on connections that stand or come: for good.

        Args:
            ways: `requests`, `answers`, or both.
        """
        self._loses = ways
        for link in self._links:
            self._spoil(link)

    async def idle(self) -> None:
        """Wait until no client holds a connection."""
        while self._links:
            self._idle.clear()
            await self._idle.wait()

    def standing(self) -> int:
        """Return how many connections clients hold."""
        return len(self._links)

    async def close(self) -> None:
        await self.down()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def _spoil(self, link: _Link) -> None:
        link.hears = link.hears and "requests" not in self._loses
        link.answers = link.answers and "answers" not in self._loses

    def _greet(self, *_: object) -> int | None:
        return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE if self.refuses_tls else None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        answers, far = await asyncio.open_connection(*self._far)
        link = _Link(writer, far)
        self._spoil(link)
        self._links.add(link)
        try:
            answering = asyncio.ensure_future(self._answer(link, answers))
            await self._ask(link, reader)
            link.abort()
            await answering
        finally:
            self._links.discard(link)
            self._idle.set()

    async def _ask(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while sent := await reader.read(65536):
                if link.hears:
                    link.far.write(sent)

    async def _answer(self, link: _Link, answers: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while sent := await answers.read(65536):
                if link.answers:
                    link.near.write(sent)
        if link.answers:
            link.near.close()


@asynccontextmanager
async def line_to(url: str, certificate: Path | None = None) -> AsyncIterator[Line]:
    """Lay a line, for as long as the context lasts."""
    line = Line(url, certificate)
    await line.up()
    try:
        yield line
    finally:
        await line.close()
