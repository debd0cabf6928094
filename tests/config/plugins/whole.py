"""Needs whole bodies, and looks after `mode` itself."""

from gateway.plugin import Exchange, NoSettings, Plugin


class Whole(Plugin[NoSettings]):
    needs_body = True
    handles_mode = True

    def on_chunk(self, ex: Exchange, chunk: bytes) -> bytes:
        return chunk
