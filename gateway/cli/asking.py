"""A client of the admin port, for the commands: it finds address and token in the policy, and says what to do when nobody answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from gateway.config.address import address
from gateway.config.document import Document
from gateway.config.ports import Admin
from gateway.config.sources import Sources
from gateway.config.validation import validate
from gateway.errors import ConfigError

CONNECT = 3.0  # seconds
PATIENCE = 15.0  # seconds for most answers
SERVER = "gateway"
"""What a port of ours says of itself."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
PATH = ("server", "admin")


class Unanswered(Exception):
    """Nobody that can answer: the message says who was asked and what to look at."""


class Refused(Exception):
    """The gateway's problem+json."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or "")
        self.status = int(problem.get("status", 0))
        self.problem = problem


class AdminPort(NamedTuple):
    """Where a gateway can be asked."""

    host: str
    port: int
    token: str | None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: object = None, patience: float = PATIENCE) -> Any:
        """The JSON that comes back. Raises Unanswered and Refused."""
        connection = HTTPConnection(self.host, self.port, timeout=CONNECT)
        try:
            connection.connect()
            connection.sock.settimeout(patience)
            headers = {"Accept": "application/json"} | ({} if self.token is None else {"Authorization": f"Bearer {self.token}"})
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            with connection.getresponse() as response:
                if response.headers["Server"] != SERVER:
                    raise Unanswered(f"what answers at {self} is no gateway's admin port")
                answer = json.loads(response.read())
        except ConnectionRefusedError:
            why = f"nothing listens at {self}, the policy's server.admin; is the gateway running, and since that was written?"
            raise Unanswered(why) from None
        except TimeoutError:
            raise Unanswered(f"{self}, the policy's server.admin, does not answer") from None
        except (OSError, HTTPException, ValueError) as error:
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise Unanswered(f"what answers at {self} is no gateway's admin port ({why})") from None
        finally:
            connection.close()
        if response.status == 401:
            raise Unanswered(f"the gateway at {self} has another token than this policy, or the environment, gives here")
        if response.status >= 400:
            raise Refused(answer)
        return answer


def admin_port(policy: str, env_files: Sequence[str] = ()) -> AdminPort | None:
    """That of the policy, whatever else is wrong with it; None when it names none. Raises ConfigError."""
    path = Path(policy)
    sources = Sources(path.absolute().parent)
    text = sources.read(path)
    sources.add_env_files(env_files)
    document = Document(text, str(path), sources)
    value = document.at(PATH)
    settings = None if value is None else validate(Admin, document, PATH, value, sources.folder)
    mistakes = [mistake for mistake in document.mistakes if mistake.path.startswith("server.admin")]
    if mistakes:
        raise ConfigError(mistakes)
    if settings is None:
        return None
    host, port = address(settings.address)
    return AdminPort(_EVERYWHERE.get(host, host), port, settings.token)


def asked(policy: str, env_files: Sequence[str] = ()) -> AdminPort:
    """As `admin_port`, for a command that has no other way. Raises ConfigError and Unanswered."""
    port = admin_port(policy, env_files)
    if port is None:
        raise Unanswered(f"{policy} names no admin port; write server: {{admin: 127.0.0.1:9192}}, and restart the gateway")
    return port
