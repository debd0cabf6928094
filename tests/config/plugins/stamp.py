"""Works once, on the way up."""

from gateway.plugin import Exchange, Plugin, Reply, Settings


class StampSettings(Settings):
    value: str = ""


class Stamp(Plugin[StampSettings]):
    once = True

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        return None
