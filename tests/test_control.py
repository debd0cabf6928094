"""Control: operations by name, and what is said of one that there is not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control import Arguments, Control, ControlError


async def echo(arguments: Arguments) -> Any:
    return dict(arguments)


async def refuse(arguments: Arguments) -> Any:
    raise ControlError(422, "not so")


async def test_an_operation_answers_by_its_name() -> None:
    control = Control()
    control.offer("echo", echo)
    assert control.offers("echo") and not control.offers("ech")
    assert await control.call("echo", {"a": 1}) == {"a": 1}
    assert await control.call("echo") == {}
    control.offer("echo", refuse)
    with pytest.raises(ControlError) as caught:
        await control.call("echo")
    assert (caught.value.status, caught.value.why) == (422, "not so")


async def test_what_is_not_offered_is_said_by_name() -> None:
    with pytest.raises(ControlError) as caught:
        await Control().call("purge")
    assert (caught.value.status, str(caught.value)) == (501, "this gateway does not offer purge")
