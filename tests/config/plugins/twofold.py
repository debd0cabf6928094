"""Two plugins in one file."""

from gateway.plugin import NoSettings, Plugin


class First(Plugin[NoSettings]): ...


class Second(Plugin[NoSettings]): ...
