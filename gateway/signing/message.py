"""A request as a signature sees it: the components of RFC 9421, section 2."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.exchange import Headers

PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Message:
    """One request: its parts, as they were sent or will be."""

    method: str
    scheme: str
    host: str  # as in Host
    target: str  # /path?query
    headers: Headers

    @property
    def authority(self) -> str:
        return self.host.lower().removesuffix(PORTS.get(self.scheme, ":"))

    def component(self, name: str) -> str:
        """Its value, for the signature base. Raises ValueError for one that is unknown, or that the message lacks."""
        if name.startswith("@"):
            return self._derived(name)
        values = self.headers.getall(name, ())
        if not values:
            raise ValueError(f"it covers {name}, and there is no such field")
        return ", ".join(value.strip(" \t") for value in values)

    def _derived(self, name: str) -> str:
        """Section 2.2."""
        path, _, query = self.target.partition("?")
        match name:
            case "@method":
                return self.method
            case "@target-uri":
                return f"{self.scheme}://{self.authority}{self.target}"
            case "@authority":
                return self.authority
            case "@scheme":
                return self.scheme
            case "@request-target":
                return self.target
            case "@path":
                return path
            case "@query":
                return f"?{query}"
        raise ValueError(f"it covers {name}, which is not known here")
