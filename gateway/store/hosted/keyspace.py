"""What the hosted store holds: states by key, each until a time of its own, in no more memory than was allowed."""

from __future__ import annotations

from typing import Any

from gateway.store.shards import KEYS_PER_BUCKET, SHARD_KEYS

State = tuple[Any, ...]
"""First until when it counts, in microseconds; then what its algorithm keeps."""


class Keyspace:
    """At most about `max_keys`. Above that a new key shares one of some buckets with others, as in gateway.store.shards."""

    def __init__(self, max_keys: int) -> None:
        shards = 1 << max(0, (max_keys // SHARD_KEYS).bit_length() - 1)
        self.folded = 0
        """Asked for in a bucket."""
        self._mask = shards - 1
        self._room = max_keys // shards
        self._buckets = max(1, self._room // KEYS_PER_BUCKET)
        self._shards: list[dict[bytes, State]] = [{} for _ in range(shards)]
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def place(self, key: bytes) -> bytes:
        """Under which key its state is kept: itself, unless there is no room for it."""
        shard = self._shards[hash(key) & self._mask]
        if key in shard or len(shard) < self._room:
            return key
        self.folded += 1
        # What follows the brace names the limit: a bucket is one limit's. It lies in the same shard, where buckets always have room.
        return b"\0%d}%s" % ((hash(key) >> 16) % self._buckets, key.rpartition(b"}")[2])

    def get(self, key: bytes, place: bytes, now: int) -> State | None:
        found = self._shards[hash(key) & self._mask].get(place)
        return found if found is not None and found[0] > now else None

    def put(self, key: bytes, place: bytes, state: State) -> None:
        self._shards[hash(key) & self._mask][place] = state

    def delete(self, key: bytes) -> bool:
        return self._shards[hash(key) & self._mask].pop(key, None) is not None

    def sweep(self, now: int) -> None:
        """Let go of what is over, in the next shard: a thousandth of a second, and not all of them at once."""
        shard = self._shards[self._next]
        self._shards[self._next] = {key: state for key, state in shard.items() if state[0] > now}
        self._next = (self._next + 1) & self._mask
