"""The messages and command lines that all benchmarks send."""

__all__ = ["RECIPIENT", "SENDER", "base64_body", "text_body"]

SENDER = "sender@client.example"
RECIPIENT = "recipient@server.example"
_HEADER = b"From: sender@client.example\r\nTo: recipient@server.example\r\nSubject: A message\r\n\r\n"
_BASE64 = b"QmFzZTY0IGhhcyBubyBkb3RzLCBzbyB0aGF0IG5vdGhpbmcgaGFzIHRvIGJlIHN0dWZmZWQu".ljust(76, b"A") + b"\r\n"
_TEXT = b"A line of ordinary text, such as people write to each other all day long.\r\n"
_DOTTED = b". One line in thirty begins with a dot, which has to be stuffed on its way.\r\n"


def base64_body(octets: int) -> bytes:
    """A body of lines of base64, 76 octets each."""
    return (_HEADER + _BASE64 * (octets // len(_BASE64) + 1))[: octets - 2] + b"\r\n"


def text_body(octets: int) -> bytes:
    """A body of text, of which one line in 30 begins with a dot."""
    return (_HEADER + (_TEXT * 29 + _DOTTED) * (octets // (30 * len(_TEXT)) + 1))[: octets - 2] + b"\r\n"
