"""The message that every case carries, and its envelope."""

from pathlib import Path

__all__ = [
    "DOTS",
    "LARGE_OCTETS",
    "MESSAGE",
    "OTHER",
    "RECIPIENT",
    "RECIPIENT_UTF8",
    "SECOND",
    "SENDER",
    "write_large",
    "write_message",
]

SENDER = "alice@client.example"
RECIPIENT = "bob@server.example"
SECOND = "dave@server.example"
OTHER = "carol@server.example"
RECIPIENT_UTF8 = "δοκιμή@server.example"

# What transports like to damage: UTF-8 as 8bit, dots, a long line, "From ", spaces at line ends, empty last lines.
# No "%" and no backslash: swaks would read them as its own; and with fewer empty lines behind it, it takes the last dot
# for the end.
_LINES = f"""\
From: Alice <{SENDER}>
To: Bob <{RECIPIENT}>
Subject: dots and letters
Date: Thu, 01 Jan 2026 12:00:00 +0000
Message-ID: <interop@client.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße aus Köln, καλημέρα, 你好, 🙂
.
..
...three dots
.one dot
From here on a line of 900 octets:
{"x" * 900}
spaces at the end  \x20
.QUIT

.



"""
MESSAGE = _LINES.replace("\n", "\r\n").encode()

# Lines of 998 octets, which is as long as a line may be (RFC 5321 section 4.5.3.1.6); dots at the head of lines, of
# long ones too, on lines of their own, and last of all.
DOTS = (
    MESSAGE.partition(b"\r\n\r\n")[0]
    + b"\r\n\r\n"
    + b"\r\n".join(
        (b".", b"..", b". ", b"x" * 998, b"." + b"y" * 997, b"." * 998, b"", b".", b"", b"..", b".", b".", b"")
    )
)

LARGE_OCTETS = 50_000_000


def write_message(directory: Path) -> tuple[Path, Path, Path]:
    """The message as files: with CRLF; with LF; and with LF but for the last one."""
    lf = MESSAGE.replace(b"\r\n", b"\n")
    paths = directory / "message.crlf", directory / "message.lf", directory / "message.unended"
    for path, octets in zip(paths, (MESSAGE, lf, lf[:-1]), strict=True):
        path.write_bytes(octets)
    return paths


def write_large(directory: Path) -> Path:
    """A file of LARGE_OCTETS with CRLF, whose every tenth line begins with a dot."""
    header = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    block = b"".join(
        (b"." if number % 10 == 0 else b"y") + b"%07d " % number + b"z" * 490 + b"\r\n" for number in range(1000)
    )
    octets = header + block * (LARGE_OCTETS // len(block) + 1)
    path = directory / "large.crlf"
    path.write_bytes(octets[: LARGE_OCTETS - 2] + b"\r\n")
    return path
