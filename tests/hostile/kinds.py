"""The kinds of hostile clients: each a coroutine function that plays one session."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from random import Random

from peer import Peer

__all__ = ["FLOODS", "KINDS", "SLOW", "TLS_ALONE", "Kind"]

Kind = Callable[[Peer, Random], Awaitable[None]]

_PACE = 1.0  # seconds between two octets of those who are slow
_EHLO, _MAIL, _RCPT = b"EHLO c.example\r\n", b"MAIL FROM:<a@c.example>\r\n", b"RCPT TO:<b@victim.example>\r\n"
_LINE = b"Hostile content, of which there is no end.\r\n"
_SESSION = (_EHLO, _MAIL, _RCPT, b"DATA\r\n", _LINE * 20, b".\r\n", b"QUIT\r\n")
_CHUNKED = (_EHLO, _MAIL, _RCPT, b"BDAT 100\r\n" + b"x" * 100, b"BDAT 50 LAST\r\n" + b"y" * 50)
_LOGIN = (_EHLO, b"AUTH PLAIN\r\n", b"AGE=\r\n", b"AUTH LOGIN\r\n", b"dXNlcg==\r\n", b"*\r\n")
_SESSIONS = (_SESSION, _CHUNKED, _LOGIN)
_FOLDED = (b"\r", b"\n", b"\r\n", b".", b" ", b"\0", b"\xff", b"<", b">", b"DATA", b"BDAT 9", b"RSET", b"MAIL FROM:<")


async def hello(peer: Peer) -> None:
    await peer.replies(1)
    await peer.say(_EHLO)


async def transaction(peer: Peer, *commands: bytes) -> None:
    await hello(peer)
    for command in (_MAIL, _RCPT, *commands):
        await peer.say(command)


async def drip(peer: Peer, octets: bytes) -> None:
    """Write one octet after the other, slowly, over and over, until the server ends it."""
    reading = asyncio.ensure_future(peer.until_gone())
    try:
        for at in cycle(range(len(octets))):
            if reading.done():
                await reading
            await peer.write(octets[at : at + 1])
            await asyncio.wait([reading], timeout=_PACE)
    finally:
        reading.cancel()


# Slow


async def silent(peer: Peer, random: Random) -> None:
    """Connects, and says nothing."""
    await peer.until_gone()


async def slow_line(peer: Peer, random: Random) -> None:
    """EHLO with a name that does not end."""
    await drip(peer, b"EHLO " + b"a" * 100_000)


async def slow_mail(peer: Peer, random: Random) -> None:
    """The middle of MAIL."""
    await hello(peer)
    await drip(peer, b"MAIL FROM:<" + b"a" * 100_000)


async def slow_login(peer: Peer, random: Random) -> None:
    """The middle of a SASL response."""
    await hello(peer)
    await peer.say(b"AUTH PLAIN\r\n")
    await drip(peer, b"A" * 100_000)


async def slow_data(peer: Peer, random: Random) -> None:
    """Content after DATA."""
    await transaction(peer, b"DATA\r\n")
    await drip(peer, _LINE)


async def slow_chunk(peer: Peer, random: Random) -> None:
    """Content of a chunk."""
    await transaction(peer)
    await peer.write(b"BDAT 1000000 LAST\r\n")
    await drip(peer, _LINE)


async def slow_handshake(peer: Peer, random: Random) -> None:
    """A ClientHello behind STARTTLS."""
    await hello(peer)
    await peer.say(b"STARTTLS\r\n")
    peer.grammar = None
    await drip(peer, client_hello())


async def slow_tls(peer: Peer, random: Random) -> None:
    """A ClientHello where TLS begins at once."""
    peer.grammar = None
    await drip(peer, client_hello())


async def deaf(peer: Peer, random: Random) -> None:
    """Asks without end, and never reads."""
    while True:
        await peer.write(b"EHLO c.example\r\nNOOP\r\n" * 1000)
        await asyncio.sleep(0)


async def hanging(peer: Peer, random: Random) -> None:
    """Sends a message with which the handler hangs."""
    await hello(peer)
    for octets in (_MAIL, b"RCPT TO:<hang@victim.example>\r\n", b"DATA\r\n"):
        await peer.say(octets)
    await peer.write(_LINE + b".\r\n")
    await peer.until_gone()


def client_hello() -> bytes:
    """The first octets of a TLS client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


# Floods


def flood(*commands: bytes, first: tuple[bytes, ...] = (_EHLO,)) -> Kind:
    """Commands without end, as fast as the server takes them, and its replies read."""
    group = b"".join(commands)

    async def flooding(peer: Peer, random: Random) -> None:
        await peer.replies(1)
        for command in first:
            await peer.say(command)
        reading = asyncio.ensure_future(peer.until_gone())
        try:
            while not reading.done():
                await peer.write(group * 200)
                await asyncio.sleep(0)
            await reading
        finally:
            reading.cancel()

    return flooding


async def body_flood(peer: Peer, random: Random) -> None:
    """Content without end."""
    await transaction(peer, b"DATA\r\n")
    while True:
        await peer.write(_LINE * 1000)
        await asyncio.sleep(0)


async def dropped(peer: Peer, random: Random) -> None:
    """Connects and goes."""


async def half_open_tls(peer: Peer, random: Random) -> None:
    """Half a ClientHello, and goes."""
    await hello(peer)
    await peer.say(b"STARTTLS\r\n")
    octets = client_hello()
    await peer.write(octets[: random.randrange(len(octets))])


async def garbage_in_tls(peer: Peer, random: Random) -> None:
    """What is no TLS where it should be."""
    peer.grammar = None
    await peer.write(random.randbytes(random.randint(1, 500)))
    await peer.until_gone()


# Broken


async def prefix(peer: Peer, random: Random) -> None:
    """A session as far as some point, each command after the reply before it, and then a part of the next one."""
    await peer.replies(1)
    session = random.choice(_SESSIONS)
    end = random.randrange(len(session))
    for octets in session[:end]:
        await peer.write(octets)
        if octets.endswith(b"\r\n") and b"Hostile" not in octets:
            async with asyncio.timeout(5):  # wait_for() of Python 3.11 may lose a cancellation
                await peer.read()
    await peer.write(session[end][: random.randrange(len(session[end]) + 1)])


async def half_closed(peer: Peer, random: Random) -> None:
    """Sends no more after some point, and reads to the end."""
    await prefix(peer, random)
    peer.shut()
    await peer.until_gone()


async def reset(peer: Peer, random: Random) -> None:
    """Resets the connection at some point."""
    await prefix(peer, random)
    peer.reset()


async def random_octets(peer: Peer, random: Random) -> None:
    """Random octets at some point."""
    await prefix(peer, random)
    await peer.write(random.randbytes(random.randint(1, 3000)))
    peer.shut()
    await peer.until_gone()


async def folded_octets(peer: Peer, random: Random) -> None:
    """Random octets of those that mean something to SMTP."""
    await prefix(peer, random)
    await peer.write(b"".join(random.choices(_FOLDED, k=random.randint(1, 300))))
    peer.shut()
    await peer.until_gone()


async def cut_session(peer: Peer, random: Random) -> None:
    """A whole session in one go, cut somewhere, and half-closed."""
    octets = b"".join(random.choice(_SESSIONS))
    await peer.replies(1)
    await peer.write(octets[: random.randrange(len(octets))])
    peer.shut()
    await peer.until_gone()


SLOW: dict[str, Kind] = {
    each.__name__: each
    for each in (
        silent,
        slow_line,
        slow_mail,
        slow_login,
        slow_data,
        slow_chunk,
        slow_handshake,
        slow_tls,
        deaf,
        hanging,
    )
}
FLOODS: dict[str, Kind] = {
    "flood of NOOP": flood(b"NOOP\r\n"),
    "flood of RSET": flood(b"RSET\r\n"),
    "flood of MAIL": flood(_MAIL, b"RSET\r\n"),
    "flood of RCPT": flood(_RCPT, first=(_EHLO, _MAIL)),
    "flood of VRFY": flood(b"VRFY somebody\r\n"),
    "flood of EHLO": flood(_EHLO),
    "flood of AUTH": flood(b"AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n"),
    "flood of bad commands": flood(b"WHAT\r\n", b"\r\n", b"MAIL\r\n"),
    "flood of BDAT": flood(b"BDAT 0\r\n", first=(_EHLO, _MAIL, _RCPT)),
    "raising hook": flood(b"RCPT TO:<raise@victim.example>\r\n", first=(_EHLO, _MAIL)),
    **{each.__name__: each for each in (body_flood, dropped, half_open_tls, garbage_in_tls)},
}
_BROKEN: dict[str, Kind] = {
    each.__name__: each for each in (half_closed, reset, random_octets, folded_octets, cut_session)
}
KINDS: dict[str, Kind] = {**SLOW, **FLOODS, **_BROKEN}
TLS_ALONE = frozenset({"slow_tls", "garbage_in_tls"})  # for the port where TLS begins at once
