"""Other channels (Slack, Telegram, SMS, a hundred more) through the library Apprise, an extra: `pip install "gateway[channels]"`.

`{to: sales, template: new_lead, data: {name: Ada}}` goes to the channel of that name. Where channels lead is the policy's alone to say:
their URLs hold credentials, and one from a request could lead anywhere.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pydantic import Field, model_validator

from gateway.config.settings import Folder
from gateway.jobs.contract import LATER, Job, Park, PayloadRefused, Retry
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.sending.message import read
from gateway.jobs.templates.folder import Templates
from gateway.jobs.templates.renderer import CannotRender
from gateway.plugin import Host

TEXT = ".txt"


class AppriseSettings(SenderSettings):
    channels: dict[str, str] = Field(min_length=1, description="URLs of Apprise's by names of yours, as in `{sales: slack://...}`.")
    templates: Folder = Field(description="The folder of templates: for each NAME.txt.")

    @model_validator(mode="after")
    def _is_there(self) -> AppriseSettings:
        if find_spec("apprise") is None:
            raise ValueError('the extra for other channels is not installed; pip install "gateway[channels]", or remove apprise')
        return self


class Apprise(JobHandler[AppriseSettings]):
    def __init__(self, settings: AppriseSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._library = import_module("apprise")
        for name, url in settings.channels.items():
            if self._library.Apprise.instantiate(url, suppress_exceptions=True) is None:
                raise ValueError(f"channels.{name} is no URL of Apprise's; see https://github.com/caronc/apprise/wiki")
        self._templates = Templates(settings.templates)

    async def stop(self) -> None:
        await self._templates.close()

    def check(self, payload: Any) -> None:
        to, template, data = read(payload)
        if to is not LATER and (not isinstance(to, str) or to not in self.settings.channels):
            raise PayloadRefused(f"to: there is no channel {to!r}; there are {', '.join(self.settings.channels)}")
        if not self._templates.has(f"{template}{TEXT}"):
            raise PayloadRefused(f'there is no template "{template}": {template}{TEXT} belongs into {self._templates.folder.name}')
        if lacking := [name for name in self._templates.needs([f"{template}{TEXT}"]) if name not in data]:
            raise PayloadRefused(f"the template {template} needs {', '.join(lacking)}, which data does not have")

    async def run(self, job: Job) -> Any:
        try:
            self.check(job.payload)
            to, template, data = read(job.payload)
            texts = await self._templates.render([f"{template}{TEXT}"], data)
        except (PayloadRefused, CannotRender) as error:
            raise Park(str(error)) from None
        if not await self.host.run_blocking(partial(self._notify, self.settings.channels[to], texts[f"{template}{TEXT}"])):
            raise Retry(f"the channel {to} did not take it")  # Apprise does not say why
        return {"channel": to}

    def _notify(self, url: str, text: str) -> bool:
        """Runs in a thread."""
        channel = self._library.Apprise()
        channel.add(url)
        return bool(channel.notify(body=text))
