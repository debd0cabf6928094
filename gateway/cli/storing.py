"""Operations on a policy's store, for the commands: a shared store is asked itself, one in memory through the gateway's admin port."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.cli.asking import Refused, Unanswered, asked
from gateway.cli.mistakes import built, failed, refused
from gateway.control import Control, ControlError
from gateway.errors import ConfigError
from gateway.identity.operations import KeyOperations
from gateway.store.contract import Store, StoreAway
from gateway.store.memory import MemoryStore
from gateway.store.operations import BLOCKS, StoreOperations

PATHS = {
    "limits_show": ("GET", "/limits"),
    "limits_reset": ("DELETE", "/limits"),
    "blocks": ("GET", "/blocks"),
    "block": ("PUT", "/blocks"),
    "unblock": ("DELETE", "/blocks"),
    "keys_list": ("GET", "/keys"),
    "keys_add": ("PUT", "/keys"),
    "keys_revoke": ("DELETE", "/keys"),
}


def answer(command: str, arguments: argparse.Namespace, operation: str, asking: Mapping[str, Any]) -> Any:
    """What the operation answers; None when it did not, which has been told then, and the exit code is 1."""
    try:
        store = built(arguments.policy, arguments.env_file).store
        if not isinstance(store, MemoryStore):
            return asyncio.run(_asked(store, operation, asking))
        method, path = PATHS[operation]
        port = asked(arguments.policy, arguments.env_file)
        return port.ask(method, path, asking) if method == "PUT" else port.ask(method, f"{path}?{urlencode(asking)}")
    except ConfigError as error:
        refused(error, arguments.json)
    except (Unanswered, Refused, StoreAway) as error:
        failed(command, error, arguments.json)
    except ControlError as error:
        failed(command, error.why, arguments.json)
    return None


async def _asked(store: Store, operation: str, asking: Mapping[str, Any]) -> Any:
    logging.getLogger("gateway.store").addHandler(logging.NullHandler())  # what it says is in the answer
    control = Control()
    StoreOperations(lambda: store).offer(control)
    KeyOperations(lambda: store).offer(control)
    await store.start()
    try:
        if operation == "blocks":
            await store.shared_set(BLOCKS).load()
        return await control.call(operation, asking)
    finally:
        await store.stop()


def write(arguments: argparse.Namespace, found: Any, lines: list[str]) -> None:
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n" if arguments.json else "".join(f"{line}\n" for line in lines))
