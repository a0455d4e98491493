"""What a server says on standard error: nobody has to read it."""

import os
import re
import signal
import sys
import threading
from contextlib import contextmanager, redirect_stderr

from smtpkit.cli import aside, output
from smtpkit.cli.aside import Aside, writing_aside, writing_if_there_is_room

PATIENCE = 20


class Stuck:
    """Something to write to that is stuck until it is let go; `room` is what it takes before."""

    def __init__(self, room=0):
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.room = room
        self.written = b""

    def write(self, octets):
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        self.written += octets

    def at_once(self, octets):
        taken = octets[: self.room]
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def test_what_can_be_written_at_once_is():
    stuck = Stuck(room=100)
    lines = Aside(stuck.write, stuck.at_once)
    lines.put(b"one\n")
    lines.put(b"two\n")
    assert stuck.written == b"one\ntwo\n"
    assert not stuck.begun.is_set()
    lines.close(PATIENCE)


def test_lines_are_written_in_order_by_the_end():
    stuck = Stuck(room=50)
    stuck.go_on.set()
    lines = Aside(stuck.write, stuck.at_once)
    for number in range(100):
        lines.put(b"%d\n" % number)
    lines.close(PATIENCE)
    assert stuck.written.split() == [b"%d" % number for number in range(100)]


def test_nothing_overtakes_what_is_being_written():
    stuck = Stuck()
    lines = Aside(stuck.write, stuck.at_once)
    lines.put(b"first\n")
    assert stuck.begun.wait(PATIENCE)
    stuck.room = 100
    lines.put(b"second\n")
    assert stuck.written == b""
    stuck.go_on.set()
    lines.close(PATIENCE)
    assert stuck.written == b"first\nsecond\n"


def test_what_is_too_much_is_dropped_and_counted_where_it_would_stand():
    stuck = Stuck()
    lines = Aside(stuck.write, stuck.at_once, most=10)
    lines.put(b"first\n")
    assert stuck.begun.wait(PATIENCE)
    for text in (b"012345\n", b"too long\n", b"ab\n", b"c\n"):
        lines.put(text)
    stuck.go_on.set()
    lines.close(PATIENCE)
    assert stuck.written.decode().splitlines() == [
        *("first", "012345", "ab"),
        "smtpkit: 2 lines are missing here, which nobody read in time",
    ]


def test_the_end_does_not_wait_for_a_reader():
    stuck = Stuck()
    lines = Aside(stuck.write, stuck.at_once)
    lines.put(b"line\n")
    lines.close(0.01)
    assert stuck.begun.wait(PATIENCE)
    assert stuck.written == b""
    stuck.go_on.set()


@contextmanager
def standard_error():
    """Standard error is a pipe; gives its reading end."""
    reading, writing = os.pipe()
    with open(writing, "w", encoding="ascii") as stream, redirect_stderr(stream):
        yield reading
    os.close(reading)


def test_lines_leave_as_they_would_without():
    with standard_error() as pipe:
        with writing_aside():
            output.complain("a\r\nb")
            output.show("\x1b[31m\xe9")
        output.show("directly")
        assert os.read(pipe, 1000) == b"smtpkit: a b\n\\x1b[31m\\xe9\ndirectly\n"


def test_a_pipe_that_is_not_to_be_waited_for_is_waited_for_here():
    lines = [f"{number:04}" + "x" * 96 for number in range(2000)]
    read = []

    def reader(pipe):
        while not b"".join(read[-2:]).endswith(b"the end\n"):
            read.append(os.read(pipe, 65536))

    with standard_error() as pipe:
        os.set_blocking(sys.stderr.fileno(), False)
        with writing_aside():
            for line in lines:
                output.show(line)
            thread = threading.Thread(target=reader, args=(pipe,))
            thread.start()
            output.show("the end")
            thread.join(PATIENCE)
    assert b"".join(read).decode().splitlines() == [*lines, "the end"]


def test_who_forks_says_what_there_is_room_for():
    with standard_error() as pipe, writing_if_there_is_room():
        with writing_aside():
            output.show("aside")
        output.show("\x1b\xe9" * 1000)
        assert os.read(pipe, 65536) == b"aside\n" + b"\\x1b\\xe9" * 1000 + b"\n"
        for _ in range(10):
            output.show("x" * 50_000)
        assert 0 < len(os.read(pipe, 1 << 20)) < 500_000


def test_nobody_has_to_be_there(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with writing_if_there_is_room(), writing_aside():
        output.show("line")
    assert aside._written(-1, b"line") == 4  # as of a pipe whose reader has gone


def test_a_server_whose_sessions_nobody_reads_goes_on(serving):
    server = serving("--verbose", "--log-level", "debug")
    sock, lines = server.connect()
    lines.readline()
    for _ in range(8):
        sock.sendall(b"NOOP 0123456789\r\n" * 500)
        for _ in range(500):
            assert lines.readline().startswith(b"250 ")
    sock.sendall(b"QUIT\r\n")
    assert lines.readline().startswith(b"221 ")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0  # though nothing was read yet
    assert re.match(rb"\S+ [0-9a-f]+ connect", server.process.stderr.readline())


def test_whoever_has_a_reply_finds_it_in_the_transcript(serving):
    server = serving("--verbose")
    sock, lines = server.connect()
    lines.readline()
    said = server.process.stderr
    os.set_blocking(said.fileno(), False)
    for number in range(20):
        sock.sendall(b"NOOP\r\n")
        assert lines.readline().startswith(b"250 ")
        assert said.read().endswith(b"C: NOOP\n[1] S: 250 2.0.0 Ok\n"), number
