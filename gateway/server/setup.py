"""What each process of a gateway does first: its log, its open files, its sockets."""

from __future__ import annotations

import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable

from gateway.config.policy import Policy
from gateway.pii import Mask
from gateway.server.listener import Address, Certificate, Listener
from gateway.telemetry.log import LogHandler, formatter

log = logging.getLogger("gateway")


def write_log(policy: Policy) -> Callable[[], None]:
    """What is logged from now on goes to stderr, and its errors to Sentry, as the policy wishes. Call what is returned at the end."""
    handler = LogHandler(sys.stderr.fileno())
    handler.setFormatter(formatter(policy.telemetry.log.format))
    logging.basicConfig(handlers=[handler], level=policy.telemetry.log.level.upper())
    if not policy.telemetry.sentry_dsn:
        return _nothing
    from gateway.telemetry.sentry import SentryHandler  # whose SDK need not be installed where nobody is told

    sentry = SentryHandler(policy.telemetry.sentry_dsn, policy.environment, Mask(policy.telemetry.pii))
    logging.getLogger().addHandler(sentry)
    return sentry.stop


def _nothing() -> None:
    return None


def await_signals() -> None:
    """None that comes before it can be heard ends the process."""
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def bind(policy: Policy) -> list[Listener]:
    """All addresses, or none. Raises OSError that says which one cannot be had."""
    listeners: list[Listener] = []
    try:
        for settings in policy.server.listen:
            address = Address(settings.host, settings.port)
            tls = settings.tls
            try:
                certificate = None if tls is None else Certificate(str(tls.cert), str(tls.key), tls.min_version)
                listeners.append(Listener(address, certificate))
            except OSError as error:  # ssl.SSLError is one
                raise OSError(f"cannot listen on {address}: {error.strerror or error}") from error
    except OSError:
        for listener in listeners:
            listener.leave()
        raise
    return listeners


def allow_files(connections: int) -> None:
    """Each exchange may need two sockets; a usual shell allows 1,024 files, though more could be had."""
    needed = 2 * connections + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < needed:
        log.warning("the system allows %d open files; server.limits.connections: %d may need %d", hard, connections, needed)


def tune_collector() -> None:
    """What is loaded lives as long as the process: the collector need not look at it again, nor look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
