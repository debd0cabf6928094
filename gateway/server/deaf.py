"""Let no further connection begin at a listening socket, while those that have begun can still be accepted."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

_ATTACH_FILTER = 26
"""SO_ATTACH_FILTER of Linux, which the socket module does not name."""
_FLAGS, _SYN_AND_ACK, _SYN = 13, 0x12, 0x02
_LOAD_BYTE, _AND, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_PROGRAM = (
    (_LOAD_BYTE, 0, 0, _FLAGS),
    (_AND, 0, 0, _SYN_AND_ACK),
    (_JUMP_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),  # nothing of it is kept
    (_RETURN, 0, 0, 0xFFFFFFFF),  # all of it is
)
"""Classic BPF over a TCP segment (RFC 9293, 3.1): one that only asks for a connection is dropped."""


def deafen(listening: socket.socket) -> bool:
    """Whether the kernel does that: Linux alone can. Who asks from now on is asked to wait, and is refused once the socket is closed.

    A socket that is closed while connections wait to be accepted resets them, and between the last look at them and the close there
    is always time for one more.
    """
    if sys.platform != "linux":
        return False
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _PROGRAM)
    held = ctypes.create_string_buffer(program, len(program))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(_PROGRAM), ctypes.addressof(held)))
    except OSError:
        return False
    return True
