"""The `jobs` block of a policy: where jobs are kept, who runs them, and for how long what is over is remembered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import Duration, NewFile, Settings
from gateway.store.redis import address

FILE = "sqlite://"
"""As a url: the file at `path`, also where the gateway's store is a Redis."""


def _url(value: str | None) -> str | None:
    """Raises ValueError unless it is empty, FILE, or a Redis."""
    if value and value != FILE:
        if value.startswith("memory://"):
            raise ValueError("jobs in memory would be lost; leave url out, and they are kept in the file at path")
        if value.partition(":")[0] not in address.SCHEMES:
            raise ValueError(f"jobs are kept in a Redis, or in the file; write redis://host:6379/0, or {FILE}")
        address.parse(value)
    return value or None


class RetrySettings(Settings):
    """How often a job is tried, and how long in between."""

    attempts: int = Field(6, ge=1, le=100, description="Times that a job is begun; after the last it is dead.")
    backoff: Duration = Field(
        1.0, gt=0, description="The longest wait after the first attempt; it doubles with each, and any time up to it is taken."
    )
    max_backoff: Duration = Field(600.0, gt=0, description="No wait is longer, unless the other side asks for it (Retry-After).")


class KeepSettings(Settings):
    """How long what is over is remembered."""

    payload: Duration = Field(86_400.0, ge=0, description="The payload of a job that is done: what was sent, and to whom.")
    done: Duration = Field(
        7 * 86_400.0, gt=0, description="The rest of a job that is done; its id keeps another of that id away for as long."
    )
    dead: Duration = Field(30 * 86_400.0, gt=0, description="A dead job, with its payload, to be looked at and tried again.")
    dead_max: int = Field(10_000, ge=1, description="Dead jobs of a type; of more the oldest are dropped, loudly.")


class JobsSettings(Settings):
    """Work that requests leave behind, done until it is done."""

    path: NewFile = Field(
        "var/jobs.db",
        validate_default=True,
        description="The SQLite file of jobs, relative to the policy's folder; with Redis, of those that wait for it. On a local disk that "
        "outlives the process.",
    )
    url: Annotated[
        str | None,
        AfterValidator(_url),
        WithJsonSchema({"type": "string", "pattern": r"^(sqlite://$|rediss?://|unix:///|rediss?\+sentinel://|\$\{|$)"}),
    ] = Field(
        None,
        repr=False,
        description="A Redis or Valkey for jobs, as under `store`; without it the gateway's own, and where that is memory, the file. "
        "`sqlite://`: the file, whatever the store is.",
    )
    workers: Literal["in_process", "separate"] = Field(
        "in_process", description="Who runs jobs: the gateway's processes, or only those of `gateway worker gateway.yaml`."
    )
    concurrency: int = Field(8, ge=1, le=1000, description="Jobs that one process runs at once.")
    lease: Duration = Field(
        30.0,
        ge=1,
        description="Without a sign of life of its worker for so long, a job is another's. Workers give one thrice as often.",
    )
    retry: RetrySettings = Field(default_factory=RetrySettings, description="How often a job is tried, and how long in between.")
    keep: KeepSettings = Field(default_factory=KeepSettings, description="How long what is over is remembered.")
    spool_max: int = Field(100_000, ge=1, description="With Redis: jobs that wait for it in the file at most; more are lost, loudly.")
    senders: dict[str, Any] = Field(
        default_factory=dict,
        description="Who does the work, by the type of job: the built-in senders, and those in the folder `senders` beside the policy.",
    )
