"""Answers everything."""

from gateway.plugin import Exchange, NoSettings, Plugin, Reply


class Answer(Plugin[NoSettings]):
    def on_request(self, ex: Exchange) -> Reply:
        return Reply(204)
