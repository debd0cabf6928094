"""A gateway started with the arguments that a manifest gives it, on folders and ports of the test's own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.deploy.files import ROOT
from tests.server.process import GatewayProcess

_ADDRESS = re.compile(r"^(  (?:listen|observe|admin): (?:{address: )?)(?:[\d.]+|\$\{[^}]+\}):(?:\d+|\$\{[^}]+\})", re.MULTILINE)
_OBSERVE = re.compile(r"observe port on http://127\.0\.0\.1:(\d+)")


class Serving(NamedTuple):
    process: GatewayProcess
    observe: int


@asynccontextmanager
async def serving(arguments: Sequence[str], policy: str, folders: Mapping[str, Path], env: Mapping[str, str]) -> AsyncIterator[Serving]:
    """`policy` is written where the last argument says that it is, with what ours refers to beside it.

    A folder of the manifest's is `folders[it]` here, also in the values of `env`.
    """
    here = [moved(argument, folders) for argument in arguments]
    env = {name: moved(value, folders) for name, value in env.items()}
    shutil.copytree(ROOT / "policy", Path(here[-1]).parent / "policy", dirs_exist_ok=True)
    Path(here[-1]).write_text(_ADDRESS.sub(r"\g<1>127.0.0.1:0", moved(policy, folders)))
    command = (sys.executable, "-m", "gateway", *here)
    started = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE, env={**os.environ, **env, "LC_ALL": "C"})
    process = GatewayProcess(started)
    try:
        await process.started(1)
        found = _OBSERVE.search(process.log)
        assert found is not None
        yield Serving(process, int(found[1]))
    finally:
        await process.kill()


def moved(text: str, folders: Mapping[str, Path]) -> str:
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(folder, str(folders[folder]))
    return text
