"""What must hold of what reads and writes streams, in any pieces: each against a naive model of the same."""

import runpy
from pathlib import Path

from smtpkit.wire.dots import DotStuffer, DotUnstuffer, dot_stuff, dot_unstuff
from smtpkit.wire.lines import LINE_TOO_LONG, LineBuffer
from smtpkit.wire.newlines import BodyScan, NewlineNormalizer

__all__ = ["body_scan", "dot_stuffer", "dot_unstuffer", "line_buffer", "newline_normalizer"]

_model = runpy.run_path(str(Path(__file__).parent.parent / "wire" / "transparency.py"))
_assert_unstuffed, _stuffed, _normalized = (_model[name] for name in ("assert_unstuffed", "stuffed", "normalized"))


def pieces_of(octets):
    """The input says itself where it is cut: at each "|"."""
    return octets.split(b"|")


class NaiveLines:
    """A LineBuffer that copies all it has at every step."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.unread = b""
        self.overlong = False

    def __len__(self):
        return len(self.unread)

    def feed(self, octets):
        self.unread += octets

    def next_line(self, limit):
        line, crlf, rest = self.unread.partition(b"\r\n")
        if not crlf:
            if self.overlong or len(line) >= limit:
                self.overlong = True
                self.unread = b"\r" if line.endswith(b"\r") else b""
            return None
        self.unread = rest
        if self.overlong or len(line) + 2 > limit:
            self.overlong = False
            return LINE_TOO_LONG
        return line

    def take(self, size):
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def take_all(self):
        return self.take(len(self))

    def push_back(self, octets):
        self.unread = octets + self.unread


def line_buffer(octets):
    """Each octet is an operation: small ones take, put back, or look for a line; the others are fed, up to the next.

    A digit looks for a line of at most so many octets and two, "a" to "i" take 1 to 9; "z" takes all, "y" puts
    the last octets back, "x" clears, "|" ends what is fed, and "n" looks for a line without a limit.
    """
    buffer, model = LineBuffer(), NaiveLines()
    last = b""
    fed = b""
    for octet in octets:
        operation = chr(octet)
        if operation not in "0123456789abcdefghinxyz|":
            fed += bytes([octet])
            continue
        buffer.feed(fed)
        model.feed(fed)
        fed = b""
        if operation.isdigit() or operation == "n":
            limit = 1 << 20 if operation == "n" else int(operation) + 2
            assert buffer.next_line(limit) == model.next_line(limit)
        elif operation in "abcdefghi":
            last = buffer.take(octet - 96)
            assert last == model.take(octet - 96)
        elif operation == "z":
            last = buffer.take_all()
            assert last == model.take_all()
        elif operation == "y":
            buffer.push_back(last)
            model.push_back(last)
        elif operation == "x":
            buffer.clear()
            model.clear()
        assert (len(buffer), buffer.overlong) == (len(model), model.overlong)
    assert buffer.take_all() == model.take_all()


def dot_unstuffer(octets, policy):
    """The content, its end and what stands behind it are those that the words of the RFC give."""
    pieces = pieces_of(octets)
    whole = b"".join(pieces)
    _assert_unstuffed(DotUnstuffer, whole, pieces, policy)
    if len(whole) <= 64:
        _assert_unstuffed(DotUnstuffer, whole, [whole[at : at + 1] for at in range(len(whole))], policy)


def dot_stuffer(octets):
    """What is stuffed is as the words of the RFC say, and comes back, with a CRLF at its end."""
    pieces = pieces_of(octets)
    body = b"".join(pieces)
    stuffer = DotStuffer()
    written = b"".join([*map(stuffer.feed, pieces), stuffer.finish()])
    assert written == _stuffed(body) == dot_stuff(body)
    assert dot_unstuff(written) == (body if not body or body.endswith(b"\r\n") else body + b"\r\n")
    assert b"\r\n.\r\n" not in written[:-5]


def newline_normalizer(octets):
    """Every newline is CRLF, whatever the pieces; what needs no change is not copied."""
    pieces = pieces_of(octets)
    body = b"".join(pieces)
    normalizer = NewlineNormalizer()
    given = [normalizer.feed(piece) for piece in pieces]
    assert b"".join([*given, normalizer.finish()]) == _normalized(body)
    assert normalizer.changed is (_normalized(body) != body)
    assert normalizer.changed or all(one is other for one, other in zip(given, pieces, strict=True))


def body_scan(octets):
    """What is told of a body is so; long lines are made of few octets ("_" is 500)."""
    pieces = pieces_of(octets.replace(b"_", b"_" * 500))
    body = b"".join(pieces)
    scan = BodyScan()
    for piece in pieces:
        scan.feed(piece)
    scan.finish()
    lines = _normalized(body).split(b"\r\n")
    ended = [len(line) + 2 for line in (lines if lines[-1] else lines[:-1])]
    longest = max(ended, default=0)
    assert scan.size == len(body)
    assert scan.size_normalized == sum(ended)
    assert scan.longest_line == (longest if longest > 1000 else 0)
    assert scan.bare_newline is (_normalized(body) != body)
    assert scan.eight_bit is (not body.isascii())
    assert scan.nul is (b"\0" in body)
    assert scan.ends_with_newline is (not body or body.endswith(b"\r\n"))
