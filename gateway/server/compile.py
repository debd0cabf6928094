"""A newer policy compiled beside the running one, in a thread, so that no request waits for it."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from gateway.app import App
from gateway.config.kept import Kept
from gateway.config.policy import Policy
from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.server.reading import files, own_code
from gateway.watch import Stamps, stamps

log = logging.getLogger("gateway")


class Load(Protocol):
    def __call__(self, registry: Registry, *, kept: Kept | None) -> Policy:
        """Read the policy again, as it was read at the start; or as it was kept. Raises ConfigError."""


SWITCH = 0.0005  # seconds for which the thread may keep the interpreter from the event loop; Python's own default is ten times that


class Compiler:
    """Policies of one path, one after another. `files` are all that the newest is made of, good or bad, as they were when it was read."""

    def __init__(self, load: Load, policy: Policy, write_line: Callable[[bytes], None]) -> None:
        self._load = load
        self._write_line = write_line
        self._code: Stamps | tuple[Mapping[str, str], ...] = {}
        self._registry: Registry | None = None
        self.folder = policy.folder
        self.files = files(policy)

    def compile(self, before: App, kept: Kept | None = None) -> App:
        """The newer App, not started. Raises ConfigError, or whatever a plugin's code raises."""
        read = stamps(self.files)
        try:
            policy = self._load(self._current_registry(kept), kept=kept)
            app = App(policy, self._write_line, before.clock, before=before)
        except ConfigError as error:
            self._read(read, [*self.files, *error.files])
            raise
        except BaseException:
            self._read(read, self.files)
            raise
        self._read(read, policy.files)
        return app

    def _read(self, before: Stamps, files: Iterable[Path]) -> None:
        """What was there before the reading counts: a change during it is one to come."""
        self.files = {**stamps([*files, *self._own_code()]), **{file: before[file] for file in files if file in before}}

    def _current_registry(self, kept: Kept | None) -> Registry:
        """The same one while plugins and senders beside the policy are the same: classes that are read again can never be thrown away."""
        code: Stamps | tuple[Mapping[str, str], ...] = stamps(self._own_code()) if kept is None else (kept.code, kept.senders)
        if self._registry is None or code != self._code:
            self._registry = Registry(self.folder) if kept is None else Registry(self.folder, kept.code, kept.senders)
            self._code = code
        return self._registry

    def _own_code(self) -> list[Path]:
        return own_code(self.folder)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Another thread computes meanwhile, and the event loop is kept waiting for no longer than a blink.

    The collector would look at all that comes into being, over and over, with every other thread stopped; when it is needed again the
    new policy has been put out of its sight (`keep`).
    """
    interval = sys.getswitchinterval()
    gc.collect()  # all that came since the last reload: circles that `keep` found uncollected would stay for good
    gc.disable()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.enable()


def keep() -> None:
    """What exists now is no matter for the collector: it ends when nobody refers to it any more, and holds no circles."""
    gc.freeze()


def told(error: BaseException) -> tuple[str, ...]:
    """Why a policy was not taken, a line for each reason."""
    if isinstance(error, ConfigError):
        return tuple(str(mistake) for mistake in error.mistakes)
    notes = getattr(error, "__notes__", ())
    return (": ".join([*notes, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__]),)
