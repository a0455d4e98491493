"""What RFC 5321 says of lines and dots, word by word and without regard to speed, and checks against it.

The checks take the module that they check, so that mutants of it can be checked as well.
"""

from itertools import product

POLICIES = ("reject", "normalize", "keep")


# The model


def read_data(octets):
    """The content, whether the data ended, and what stands behind its end, of the octets after DATA.

    "If the line is composed of a single period, it is treated as the end of mail indicator.  If the first
    character is a period and there are other characters on the line, the first character is deleted."
    """
    content = b""
    *lines, rest = octets.split(b"\r\n")
    for number, line in enumerate(lines):
        if line == b".":
            return content, True, b"\r\n".join([*lines[number + 1 :], rest])
        content += line.removeprefix(b".") + b"\r\n"
    # Of the line that has not ended, ". CR" may still become the end.
    return content + (b"" if rest == b".\r" else rest.removeprefix(b".")), False, b""


def stuffed(body):
    """ "Before sending a line of mail text, the SMTP client checks the first character of the line.  If it is a
    period, one additional period is inserted at the beginning of the line." """
    *lines, rest = body.split(b"\r\n")
    lines += [rest] if rest else []
    return b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def violation(content, ended):
    """The first octet of a content that makes it no text, by name; a CR that came last is not judged yet."""
    judged = content if ended else content.removesuffix(b"\r")
    for octet in judged.replace(b"\r\n", b"  "):
        if octet in b"\r\n\0":
            return {13: "bare CR", 10: "bare LF", 0: "NUL"}[octet]
    return None


def normalized(content, ended=True):
    """Every newline CRLF; the LF for a CR that came last is given with what follows."""
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return text[:-1] if content.endswith(b"\r") and not ended else text


def read_lines(octets, limit, too_long):
    return [line if len(line) + 2 <= limit else too_long for line in octets.split(b"\r\n")[:-1]]


# Checks


def strings(alphabet, longest):
    """Every string over the octets of an alphabet, up to a length."""
    return (bytes(octets) for length in range(longest + 1) for octets in product(alphabet, repeat=length))


def result(unstuffer, pieces):
    content = b"".join([unstuffer.feed(piece) for piece in pieces])
    return content, unstuffer.eof, unstuffer.unused_data, unstuffer.violation


def expected(octets, policy):
    content, ended, unused = read_data(octets)
    if policy == "normalize":
        return normalized(content, ended), ended, unused, None
    return content, ended, unused, violation(content, ended) if policy == "reject" else None


def assert_unstuffed(unstuffer_type, octets, pieces, policy):
    want = expected(octets, policy)
    got = result(unstuffer_type(policy), pieces)
    # What is given before a violation is found depends on the pieces, and does not matter.
    assert got == want or (want[3] is not None and got[1:] == want[1:]), (policy, pieces, got, want)


def single(octets):
    """One octet at a time, with empty pieces between them."""
    return [octets[index // 2 : (index + 1) // 2] for index in range(2 * len(octets))]


def check_unstuffing(dots, longest=6):
    for octets in strings(b"\r\n.a", longest):
        for policy in POLICIES:
            assert_unstuffed(dots.DotUnstuffer, octets, [octets], policy)
            assert_unstuffed(dots.DotUnstuffer, octets, single(octets), policy)
    for octets in (b"\0\r\n.\r\n", b"a\0\n\r\n.\r\n", b"a\n\0\r\n.\r\n", b"a\r\n.\0\r\n", b"a\r\n.\r\nb\0\n"):
        for pieces in ([octets], single(octets)):
            for policy in POLICIES:
                assert_unstuffed(dots.DotUnstuffer, octets, pieces, policy)
    for line in (b"..", b".a", b".\t", b".a\r", b"..\r\n\r"):
        octets = (line + b"\r\n") * 200 + b".\r\nNOOP\r\n.\r\n"
        assert_unstuffed(dots.DotUnstuffer, octets, [octets], "keep")
    clean = b"a.b\r\nc" * 9
    assert dots.DotUnstuffer().feed(clean) is clean
    after_violation = dots.DotUnstuffer()
    assert [after_violation.feed(piece) for piece in (b"a\n", b"b\r\n", b".\r\nc")] == [b"", b"", b""]
    assert after_violation.unused_data == b"c"
    ended = dots.DotUnstuffer()
    assert ended.feed(b".\r\na") + ended.feed(b".\r\n") == b""
    assert ended.unused_data == b"a.\r\n"
    _check_work_behind_the_end(dots)
    try:
        dots.DotUnstuffer("strict")
    except ValueError:
        return
    raise AssertionError("an unknown policy")


def _check_work_behind_the_end(dots):
    unstuffer = dots.DotUnstuffer()
    unstuffer.feed(Counted(b".\r\n"))
    Counted.copied = 0
    for octet in b"QUIT" * 250:
        unstuffer.feed(Counted([octet]))
    assert Counted.copied <= 1000
    assert unstuffer.unused_data == unstuffer.unused_data == b"QUIT" * 250


def check_stuffing(dots, longest=6):
    for body in strings(b"\r\n.a", longest):
        for pieces in ([body], single(body)):
            stuffer = dots.DotStuffer()
            assert b"".join([*map(stuffer.feed, pieces), stuffer.finish()]) == stuffed(body), pieces
        assert dots.dot_stuff(body) == stuffed(body), body
    for body in (b".\r\n" * 70 + b"\r\n" + b"a.\r\n", *(b"..\r\n" * number for number in (63, 64, 65, 200))):
        assert dots.dot_stuff(body) == stuffed(body)
    clean = b"a.b\r\nc" * 9
    assert dots.DotStuffer().feed(clean) is clean
    assert dots.dot_unstuff(b"a\r\n..\n\0\r\n.\r\n") == b"a\r\n.\n\0\r\n"
    for octets in (b"", b"a", b"a\r\n.\r", b".\r\na", b".\r\n.\r\n"):
        try:
            dots.dot_unstuff(octets)
        except ValueError as error:
            assert (error.code, error.enhanced) == (550, "5.6.0")  # noqa: PT017, a mutant may raise nothing
            assert error.offset == (octets.index(b".\r\n") + 3 if b".\r\n" in octets else None)  # noqa: PT017
            continue
        raise AssertionError(octets)


def check_lines(lines, longest=6):
    too_long = lines.LINE_TOO_LONG
    for octets in strings(b"\r\na", longest):
        for limit in (2, 3, 4, 9):
            want = read_lines(octets, limit, too_long)
            for pieces in ([octets], single(octets), [octets[:2], octets[2:3], octets[3:]]):
                assert _lines_of(lines.LineBuffer(), pieces, limit, eagerly=True) == want, (pieces, limit)
                assert _lines_of(lines.LineBuffer(), pieces, limit, eagerly=False) == want, (pieces, limit)
            _check_mixture(lines, octets, limit)
    _check_skipping(lines)
    _check_order(lines)
    _check_nothing_read_is_kept(lines)


def _lines_of(buffer, pieces, limit, *, eagerly):
    found = []
    for index, piece in enumerate(pieces):
        buffer.feed(piece)
        while (eagerly or index == len(pieces) - 1) and (line := buffer.next_line(limit)) is not None:
            found.append(line)
    assert len(buffer) <= limit
    return found


def _check_mixture(lines, octets, limit):
    # After any read of lines, what is taken and put back comes again.
    for split in range(len(octets) + 1):
        buffer = lines.LineBuffer()
        buffer.feed(octets[:split])
        buffer.feed(octets[split:])
        assert len(buffer) == len(octets)
        line = buffer.next_line(99)
        rest = octets if line is None else octets[len(line) + 2 :]
        assert len(buffer) == len(rest)
        first = buffer.take(1)
        assert first == rest[:1]
        following = buffer.next_line(99)
        after = rest[1:] if following is None else rest[len(following) + 3 :]
        assert following == (rest[1:].split(b"\r\n")[0] if b"\r\n" in rest[1:] else None)
        assert buffer.take_all() == after
        assert len(buffer) == 0
        buffer.push_back(after)
        buffer.push_back(first)
        buffer.feed(b"\r\n")
        # In the wire's order: what was put back last is read first.
        again = first + after + b"\r\n"
        assert _lines_of(buffer, [b""], limit, eagerly=True) == read_lines(again, limit, lines.LINE_TOO_LONG)


def _check_skipping(lines):
    buffer = lines.LineBuffer()
    buffer.feed(b"QUIT")
    assert (buffer.next_line(5), buffer.overlong) == (None, False)
    for piece in (b"E", b"\r", b"x" * 999, b"\n", b"y\r"):
        buffer.feed(piece)
        assert (buffer.next_line(5), buffer.overlong) == (None, True)
        assert len(buffer) == piece.endswith(b"\r")
    buffer.feed(b"\nNOOP\r\n")
    assert buffer.next_line(6) is lines.LINE_TOO_LONG
    assert (buffer.overlong, buffer.next_line(6), buffer.next_line(6)) == (False, b"NOOP", None)
    buffer.feed(b"too long")
    assert (buffer.next_line(5), buffer.overlong) == (None, True)
    buffer.clear()
    buffer.feed(b"NOOP\r\n")
    assert (buffer.overlong, buffer.next_line(6), len(buffer)) == (False, b"NOOP", 0)
    buffer.feed(b"NOOP\r\n")
    assert buffer.next_line(6) == b"NOOP"
    buffer.feed(b"NOOP\r\nQU")
    assert buffer.next_line(6) == b"NOOP"
    buffer.feed(b"IT\r\n")
    buffer.clear()
    assert (len(buffer), buffer.next_line(9), buffer.take_all()) == (0, None, b"")


def _check_order(lines):
    """What comes while pieces wait stands behind them, also where all before them was read."""
    for read in (lambda buffer: buffer.take(3), lambda buffer: buffer.next_line(9)):
        buffer = lines.LineBuffer()
        for piece in (b"a\r\n", b"b\r\n"):
            buffer.feed(piece)
        assert read(buffer)[:1] == b"a"
        buffer.feed(b"c\r\n")
        assert (buffer.next_line(9), buffer.take_all(), len(buffer)) == (b"b", b"c\r\n", 0)
    buffer.feed(b"abc")
    assert (buffer.take(1), buffer.take_all(), len(buffer), buffer.take_all()) == (b"a", b"bc", 0, b"")
    for piece in (b"ab\r", b"\n" + b"x" * 10):
        buffer.feed(piece)
    assert (buffer.take(3), buffer.next_line(5), buffer.overlong, len(buffer)) == (b"ab\r", None, True, 0)


def _check_nothing_read_is_kept(lines):
    class Watched(bytes):
        alive = 0

        def __new__(cls, octets):
            cls.alive += 1
            return super().__new__(cls, octets)

        def __del__(self):
            Watched.alive -= 1

    for rest, reads in ((b"QU", ()), (b"", ()), (b"", ("take",)), (b"", ("take_all",))):
        buffer = lines.LineBuffer()
        buffer.feed(Watched(b"NOOP\r\n" * 9 + rest))
        for read in reads:
            taken = getattr(buffer, read)(*([99] if read == "take" else []))
            assert taken == b"NOOP\r\n" * 9
            del taken
        while not reads and buffer.next_line(512) is not None:
            pass
        assert (Watched.alive, len(buffer)) == (0, len(rest)), reads


class Counted(bytes):
    """Octets that count how many of them are searched and copied."""

    searched = 0
    copied = 0

    def find(self, needle, start=0):
        end = super().find(needle, start)
        Counted.searched += (len(self) if end < 0 else end) - start
        return end

    def __contains__(self, needle):
        Counted.searched += len(self)
        return super().__contains__(needle)

    def __getitem__(self, key):
        part = super().__getitem__(key)
        if isinstance(key, int):
            return part
        Counted.copied += len(part) if len(part) < len(self) else 0
        return Counted(part)

    def __add__(self, other):
        return Counted.join([self, other])

    def __radd__(self, other):
        return Counted.join([other, self])

    @staticmethod
    def join(parts):
        whole = Counted(b"".join(parts))
        Counted.copied += len(whole)
        return whole


def work(lines, octets, size, read):
    """How often each octet is searched, and copied, when it comes in pieces and `read(buffer)` is called after each."""
    joined, lines._join = lines._join, Counted.join
    Counted.searched = Counted.copied = 0
    try:
        buffer = lines.LineBuffer()
        for start in range(0, len(octets), size):
            buffer.feed(Counted(octets[start : start + size]))
            read(buffer)
    finally:
        lines._join = joined
    return Counted.searched / len(octets), Counted.copied / len(octets)


def read_all_lines(limit):
    def read(buffer):
        while buffer.next_line(limit) is not None:
            pass

    return read


def read_lines_and_counts(buffer):
    while buffer.next_line(1000) is not None:
        buffer.take(100)


def read_late(buffer):
    """Look for a line each time, and take what is there only now and then."""
    if buffer.next_line(1 << 20) is not None or len(buffer) > 5000:
        buffer.take(7)


def check_linear_work(lines):
    for octets in (b"NOOP\r\n" * 1500, (b"a" * 58 + b"\r\n") * 150, b"a" * 9000, b"\n" * 9000, b"\r" * 9000):
        for size in (1, 7, 1000, len(octets)):
            for read in (read_all_lines(1000), read_all_lines(1 << 20), read_lines_and_counts, read_late):
                searched, copied = work(lines, octets, size, read)
                assert searched <= 3, (octets[:9], size, searched)
                assert copied <= 4, (octets[:9], size, copied)
