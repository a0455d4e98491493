"""The one read buffer that all connections of an event loop share."""

import asyncio
import threading

__all__ = ["READ_SIZE", "standing_buffer"]

READ_SIZE = 64 * 1024  # octets

_thread = threading.local()


def standing_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    """What the connections of a loop read into.

    Args:
        loop: the loop that they belong to, which runs in this thread.
    """
    # A selector loop fills the buffer and hands it on before it turns to the next connection, so that one
    # serves them all; a proactor loop reads ahead for each.  Letting asyncio allocate costs an mmap a read.
    if isinstance(loop, getattr(asyncio, "ProactorEventLoop", ())):
        return memoryview(bytearray(READ_SIZE))
    buffer: memoryview | None = getattr(_thread, "buffer", None)
    if buffer is None:
        buffer = _thread.buffer = memoryview(bytearray(READ_SIZE))
    return buffer
