"""Messages as files in a folder, in place of a provider: what would have been sent can be looked at, and nobody gets it."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import gmtime, strftime

from pydantic import ValidationInfo

from gateway.jobs.contract import Job
from gateway.jobs.sending.message import plain_id

SCHEME = "outbox:"


def outbox(url: str, info: ValidationInfo) -> str:
    """`url`, with the path of an outbox made absolute: it is relative to the policy's folder. Raises ValueError when none is named."""
    if not url.startswith(SCHEME):
        return url
    path = url[len(SCHEME) :]
    if not path or "\0" in path:
        raise ValueError("an outbox is a folder; write outbox:var/outbox")
    return f"{SCHEME}{(info.context or {}).get('folder', Path()).absolute() / path}"


class Outbox:
    """`put` runs in a thread. A job that runs twice writes one file: its name is made of the job."""

    def __init__(self, url: str) -> None:
        """`url`: outbox: and the absolute path of the folder, which is made with the first message."""
        self.folder = Path(url[len(SCHEME) :])

    def put(self, job: Job, suffix: str, content: bytes) -> str:
        """The name of the file. It is there whole, or not at all. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{strftime('%Y%m%dT%H%M%SZ', gmtime(job.created))}-{job.type}-{plain_id(job)}{suffix}"
        with NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
        return path.name
