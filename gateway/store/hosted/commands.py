"""What a gateway asks of its store, answered from memory: the commands and scripts of gateway.store.redis, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.store.hosted.algorithms import ALGORITHMS, Request
from gateway.store.hosted.answers import MOST_BYTES, Answers
from gateway.store.hosted.channels import Channels
from gateway.store.hosted.keyspace import Keyspace
from gateway.store.hosted.purges import Purges
from gateway.store.memory import MAX_KEYS, SWEEP
from gateway.store.redis.scripts import ALL, BEAT, EPOCHS, KEEP, LEASE, LIMITS, MEMBER, PURGE, RENEW, SWAP, YIELD
from gateway.store.values import MAX_VALUES, NoRoom, Values

MILLI, SECOND = 1000, 1_000_000
ANSWERS = (b"gw:c:r:", b"gw:c:p:")
"""How keys of stored answers begin, and those of their pieces."""


class Refused(Exception):
    """What the client is told in place of an answer."""


class Commands:
    """`answer` them one after another. An answer is an integer, bytes, None, a list of these, or True for OK."""

    def __init__(self, now: Callable[[], int], max_keys: int = MAX_KEYS, max_values: int = MAX_VALUES, answers: int = MOST_BYTES) -> None:
        """`now` is Unix time in microseconds; when it goes back, what has begun goes on. `answers`: bytes of them."""
        self.counts = Keyspace(max_keys)
        self.channels = Channels()
        self._answers = Answers(now, answers)
        self._purges = Purges(now)
        self._now = now
        self._values = Values[bytes](now, SWEEP * SECOND, max_values)
        self._leases: dict[bytes, dict[bytes, int]] = {}  # by holder: until when; the gateways, too
        self._sets: dict[bytes, dict[bytes, bytes]] = {}
        self._scripts: Mapping[bytes, Callable[[list[bytes], list[bytes]], Any]] = {
            LIMITS.sha: self._limits, LEASE.sha: self._lease, RENEW.sha: self._renew, BEAT.sha: self._beat, MEMBER.sha: self._member,
            SWAP.sha: self._swap, KEEP.sha: self._keep, PURGE.sha: self._purge, EPOCHS.sha: self._later, YIELD.sha: self._yield,
        }  # fmt: skip
        self._commands: Mapping[bytes, Callable[..., Any]] = {
            b"EVALSHA": self._evaluate, b"SCRIPT": self._load, b"CLIENT": self._name, b"INFO": self._info, b"PING": self._ping,
            b"GET": self._get, b"SET": self._set, b"DEL": self._delete, b"ZREM": self._let_go,
            b"HGETALL": self._members, b"HDEL": self._remove, b"EXISTS": self._exists, b"MGET": self._pieces,
        }  # fmt: skip

    def answer(self, command: Sequence[bytes]) -> Any:
        """Raises Refused."""
        try:
            return self._commands[command[0]](*command[1:])
        except NoRoom as error:
            raise Refused(f"ERR {error}") from None
        except (KeyError, IndexError, ValueError, TypeError, ArithmeticError) as error:
            raise Refused(f"ERR this is not understood: {error!r}") from error

    def sweep(self) -> None:
        """Let go of what is over; often, for each does a part."""
        now = self._now()
        self.counts.sweep(now)
        self._leases = {key: held for key, held in self._leases.items() if any(until > now for until in held.values())}

    def _evaluate(self, sha: bytes, number: bytes, *arguments: bytes) -> Any:
        keys = int(number)
        return self._scripts[sha](list(arguments[:keys]), list(arguments[keys:]))

    def _limits(self, keys: list[bytes], arguments: list[bytes]) -> list[int]:
        now, counts = self._now(), self.counts
        writes, n = arguments[0] == b"1", 1
        requests: list[tuple[Request, bytes, bytes, int, bool]] = []
        fit_all = True
        for key in keys:
            code, period = arguments[n], None
            limit, window, delta, at, cost = map(int, arguments[n + 1 : n + 6])
            n += 6
            if code == b"c":
                period = (int(arguments[n]), int(arguments[n + 1]), int(arguments[n + 2]))
                n += 3
            place = counts.place(key)
            request = ALGORITHMS[code](counts.get(key, place, now), limit, window, now, delta, at, period)
            fits = request.fits(cost)
            fit_all = fit_all and fits
            requests.append((request, key, place, cost, fits))
        found = [0, now]
        for request, key, place, cost, fits in requests:
            if writes and fit_all and cost > 0:
                counts.put(key, place, request.stored(cost))
                found[0] = 1
            elif writes and request.has_changed:
                counts.put(key, place, request.stored(0))
            found += (int(fits), request.a, request.b, request.c)
        return found

    def _lease(self, keys: list[bytes], arguments: list[bytes]) -> int:
        most, lasts, holder = int(arguments[0]), int(arguments[1]), arguments[2]
        held = self._held(keys[0])
        if len(held) >= most and holder not in held:
            return 0
        held[holder] = self._now() + lasts
        return 1

    def _renew(self, keys: list[bytes], arguments: list[bytes]) -> int:
        ends = self._now() + int(arguments[0])
        for key, holder in zip(keys, arguments[1:], strict=True):
            self._leases.setdefault(key, {})[holder] = ends
        return len(keys)

    def _beat(self, keys: list[bytes], arguments: list[bytes]) -> list[Any]:
        now, gateways = self._now(), self._held(keys[0])
        gateways[arguments[0]] = now + int(arguments[1])
        return [now, len(gateways), self._members(keys[1])]

    def _member(self, keys: list[bytes], arguments: list[bytes]) -> int:
        key, changes = keys
        members = self._sets.setdefault(key, {})
        was = arguments[1] in members
        if len(arguments) > 2:
            members[arguments[1]] = arguments[2]
        else:
            members.pop(arguments[1], None)
        self._sets.setdefault(changes, {})[arguments[0]] = b"%d" % self._now()
        return int(was)

    def _held(self, key: bytes) -> dict[bytes, int]:
        """Who holds it still."""
        now = self._now()
        held = self._leases[key] = {holder: until for holder, until in self._leases.get(key, {}).items() if until > now}
        return held

    def _let_go(self, key: bytes, holder: bytes) -> int:
        held = self._leases.get(key, {})
        was = held.pop(holder, None) is not None
        if was and not held:
            del self._leases[key]
        return int(was)

    def _keep(self, keys: list[bytes], arguments: list[bytes]) -> int:
        variant, record, lasts, most = arguments
        self._answers.keep(keys[0], variant, record, int(lasts) * MILLI, int(most))
        return 1

    def _purge(self, keys: list[bytes], arguments: list[bytes]) -> int:
        channel, most, known, *marks = arguments
        number = self._purges.purge(int(most), int(known), marks)
        self.channels.publish(channel, b"p")
        return number

    def _later(self, keys: list[bytes], arguments: list[bytes]) -> list[bytes]:
        return self._purges.later(int(arguments[0]))

    def _yield(self, keys: list[bytes], arguments: list[bytes]) -> int:
        holder, channel, word = arguments
        if self._values.swap(keys[0], holder, None):
            self.channels.publish(channel, word)
        return 1

    def _exists(self, key: bytes) -> int:
        return int(self._values.get(key) is not None)

    def _pieces(self, *keys: bytes) -> list[bytes | None]:
        return [self._answers.find(key).get(b"") for key in keys]

    def _get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bool | None:
        if b"NX" in options and self._values.get(key) is not None:
            return None
        lasts = int(options[options.index(b"PX") + 1]) * MILLI if b"PX" in options else None
        if lasts is not None and key.startswith(ANSWERS):
            self._answers.keep(key, b"", value, lasts)
        else:
            self._values.put(key, value, lasts)
        return True

    def _swap(self, keys: list[bytes], arguments: list[bytes]) -> int:
        old, new, lasts = (*arguments, None, None)[:3]
        assert old is not None
        return int(self._values.swap(keys[0], old, new, None if lasts in (None, b"-1") else int(lasts) * MILLI))

    def _delete(self, *keys: bytes) -> int:
        return sum(self.counts.delete(key) or self._values.delete(key) or self._answers.remove(key) for key in keys)

    def _members(self, key: bytes) -> list[bytes]:
        members = self._answers.find(key) if key.startswith(ANSWERS) else self._sets.get(key, {})
        return [part for pair in members.items() for part in pair]

    def _remove(self, key: bytes, member: bytes) -> int:
        return int(self._sets.get(key, {}).pop(member, None) is not None)

    def _load(self, load: bytes, source: bytes) -> bytes:
        return next(script.sha for script in ALL if script.source.encode() == source)

    def _name(self, *name: bytes) -> bool:
        return True

    def _ping(self) -> bytes:
        return b"PONG"

    def _info(self) -> bytes:
        return b"role:master\r\nkeys:%d\r\nfolded:%d\r\n" % (len(self.counts), self.counts.folded)
