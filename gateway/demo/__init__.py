"""A small real service to put the gateway in front of: leads in SQLite, with accounts, streams and ways to fail."""

from gateway.demo.command import main

__all__ = ["main"]
