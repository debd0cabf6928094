"""A shared HTTP cache (RFC 9111): its rules without I/O, and the memory that keeps what they let be kept. Behind `gateway.plugin`."""

from __future__ import annotations

from gateway.caching.contract import Cache

__all__ = ["Cache"]
