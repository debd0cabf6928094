"""Rendering without harm: templates run in a process of their own, for a bounded time, and the event loop only waits."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.jobs.templates.process import LENGTH, TIME

COMMAND = (sys.executable, "-m", "gateway.jobs.templates.process")
PATIENCE = TIME + 8.0
"""Seconds for an answer, the start of the process on a busy machine among them."""


class CannotRender(Exception):
    """A template failed, or took too long: the message says which, and why."""


class Renderer:
    """One process for one set of templates, started when it is first needed. `close` ends it."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """`texts`: the templates by their file names, all that they include among them."""
        self._texts = dict(texts)
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def render(self, names: Sequence[str], data: Mapping[str, Any]) -> dict[str, str]:
        """The text of each template, all with the same data. Raises CannotRender."""
        async with self._lock:
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await self._ask({"names": list(names), "data": data})
            except (TimeoutError, OSError, EOFError) as error:
                await self._end()
                if isinstance(error, asyncio.IncompleteReadError):
                    raise CannotRender(f"{names[0]}: not rendered after {TIME:g} s, or the memory it may have was not enough") from None
                raise CannotRender(f"{names[0]}: the process that renders does not answer: {error or type(error).__name__}") from error
            except BaseException:
                await self._end()  # else the next one would be given the answer to this one
                raise
        if "why" in answer:
            raise CannotRender(answer["why"])
        texts: dict[str, str] = answer["texts"]
        return texts

    async def close(self) -> None:
        async with self._lock:
            await self._end()

    async def _ask(self, question: object) -> Any:
        if self._process is None:
            # Of another session: Ctrl-C at the terminal is not meant for it.
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
            )
            self._write(self._texts)
        self._write(question)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        await stdin.drain()
        return json.loads(await stdout.readexactly(int.from_bytes(await stdout.readexactly(LENGTH))))

    def _write(self, message: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        data = json.dumps(message).encode()
        self._process.stdin.write(len(data).to_bytes(LENGTH) + data)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()  # its end, and that of its pipes
