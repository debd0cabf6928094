"""The targets of an upstream: which is asked, which are left out for now, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from gateway.config.upstream import UpstreamSettings
from gateway.exchange import Exchange
from gateway.upstream.balance import Pick, pick
from gateway.upstream.means import Means
from gateway.upstream.probing import Prober
from gateway.upstream.standing import Outlier
from gateway.upstream.target import Target

log = logging.getLogger("gateway.upstream")


class Group:
    """`start`, then `retire` when no request begins any more, and `stop` when the last has ended."""

    def __init__(self, name: str, targets: Sequence[Target], settings: UpstreamSettings, means: Means) -> None:
        self.targets = tuple(targets)
        self.only = self.targets[0] if len(self.targets) == 1 else None  # it is asked, whatever becomes of it
        self.outlier = None if settings.outlier is None or self.only is not None else Outlier(settings.outlier, len(self.targets))
        self.ejections = 0
        self._name = name
        self._means = means
        self._pick: Pick[Target] = pick(settings.balance, means.random)
        # Turns of its own: else, of two, a dead target would have each first try, and the other what follows.
        self._pick_again: Pick[Target] = pick(settings.balance, means.random)
        self._health = settings.health
        self._probers: tuple[Prober, ...] = ()

    def start(self) -> None:
        for target in self.targets:
            target.start()
        if self._health is not None:
            self._probers = tuple(Prober(target, self._health, self._probed, self._means.random) for target in self.targets)
            for prober in self._probers:
                prober.start()

    def retire(self) -> None:
        """Requests under way may last for days: who waits for their end need not look after the targets."""
        for prober in self._probers:
            prober.stop()
        self._probers = ()

    def stop(self) -> None:
        self.retire()
        for target in self.targets:
            target.stop()

    def succeed(self, before: Group) -> None:
        """Targets that stay keep what is known of them, but for what nobody would find out about any more."""
        known = {target.url: target for target in before.targets}
        for target in self.targets:
            if (old := known.pop(target.url, None)) is not None:
                target.succeed(old)
                target.standing = old.standing if self.outlier is not None else old.standing.without_ejections()
            if self._health is None:
                target.standing.failing = ""

    @property
    def out(self) -> dict[str, str]:
        """The targets that are left out, and why."""
        now = self._means.now()
        return {target.url: why for target in self.targets if (why := target.standing.why(now))}

    @property
    def first(self) -> Callable[[Exchange], Target]:
        """`choose`, where it makes a difference: most policies leave nobody out."""
        if self.outlier is not None or self._health is not None:
            return self.choose
        choose, targets = self._pick, self.targets
        return lambda ex: choose(ex, targets)

    def choose(self, ex: Exchange, tried: tuple[Target, ...] = ()) -> Target:
        """One of those that are well, or of all if none is; another than those that were tried, where there is one."""
        if self.only is not None:
            return self.only
        targets: Sequence[Target] = self.targets
        for target in targets:
            if target.standing.failing or target.standing.ejected_until:
                break
        else:
            return self._picked(ex, targets, tried)
        now = self._means.now()
        chosen = self._picked(ex, [target for target in targets if target.standing.is_in(now)] or targets, tried)
        if chosen.standing.ejected_until:
            chosen.standing.let_through(now)
        return chosen

    def _picked(self, ex: Exchange, among: Sequence[Target], tried: tuple[Target, ...]) -> Target:
        if not tried:
            return self._pick(ex, among)
        return self._pick_again(ex, [target for target in among if target not in tried] or among)

    def failed(self, outlier: Outlier, target: Target, why: str) -> None:
        now = self._means.now()
        if outlier.failed(target.standing, [one.standing for one in self.targets], now):
            self.ejections += 1
            log.warning("upstream %s: %s is %s, the last failure: %s", self._name, target.url, target.standing.why(now), why)
            if target.standing.ejections == 1:  # else it was out before
                self._tell_if_none_is_left()

    def succeeded(self, outlier: Outlier, target: Target) -> None:
        if outlier.succeeded(target.standing):
            log.info("upstream %s: %s is back", self._name, target.url)

    def _probed(self, target: Target, why: str) -> None:
        """It is out now because its probes fail, or back."""
        if why:
            log.warning("upstream %s: %s is left out, its health: %s", self._name, target.url, why)
            self._tell_if_none_is_left()
        else:
            log.info("upstream %s: the health of %s is well again", self._name, target.url)

    def _tell_if_none_is_left(self) -> None:
        if len(self.out) == len(self.targets):
            log.error("upstream %s: all its targets are out, so that all are asked", self._name)
