"""What runs a job: a handler for each type. An operator's own is one small class in `senders/`, beside the policy.

class Slack(JobHandler[SlackSettings]):
    async def run(self, job: Job) -> object:
        reply = await self.host.http("POST", self.settings.url, body=...)
        if reply.status == 429:
            raise Retry("Slack asks for less", after=30)
        return {"status": reply.status}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from pydantic import Field

from gateway.config.settings import Duration, Rate, Settings
from gateway.jobs.contract import Job

if TYPE_CHECKING:
    from gateway.plugin import Host


class SenderSettings(Settings):
    """What every sender can be told; one's own settings stand beside these."""

    rate: Rate | None = Field(None, gt=0, description="Jobs begun in a time, by all workers together; without it, as many as there are.")
    concurrency: int | None = Field(
        None, ge=1, description="Jobs under way at once, by all workers together; without it, what the workers can do."
    )
    timeout: Duration = Field(60.0, gt=0, description="How long one attempt may take; then it is tried again.")


S = TypeVar("S", bound=SenderSettings)


class JobHandler(Generic[S]):
    """Runs the jobs of one type: the name of its file, under which it stands in `senders:`."""

    settings_type: ClassVar[type[SenderSettings]] = SenderSettings
    """Filled in from `JobHandler[...]`."""

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is JobHandler and isinstance(settings := get_args(base)[0], type):
                cls.settings_type = settings

    def __init__(self, settings: S, host: Host) -> None:
        """Raises ValueError for settings that can never work: a template that is not there. It opens nothing."""
        self.settings = settings
        self.host = host

    async def start(self) -> None:
        """Before the first job. An exception refuses the policy: what is only away now is for `run` to find."""

    async def stop(self) -> None:
        """After the last job."""

    def check(self, payload: Any) -> None:
        """Raises PayloadRefused for what could never be run: when the policy is loaded, with LATER for what requests will tell, and before
        a job is stored that somebody asks for.
        """

    async def run(self, job: Job) -> Any:
        """Do the work; what is returned, a JSON value, is the job's result.

        Raises Retry, Dead or Park; anything else is a Retry that is logged. Cancelled when the lease is lost or `timeout` is over. A job
        may have run before, wholly or in part, and nobody knows: `job.id` is the same then, and `host.jobs.note` keeps what was done.
        """
        raise NotImplementedError
