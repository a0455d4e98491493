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
    """Something to write to that is stuck until it is let go."""

    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.written = ""

    def write(self, text):
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        self.written += text


def test_lines_are_written_in_order_by_the_end():
    stuck = Stuck()
    stuck.go_on.set()
    lines = Aside(stuck.write)
    for number in range(100):
        lines.put(str(number))
    lines.close(PATIENCE)
    assert stuck.written.splitlines() == [str(number) for number in range(100)]


def test_what_is_too_much_is_dropped_and_counted_where_it_would_stand():
    stuck = Stuck()
    lines = Aside(stuck.write, most=10)
    lines.put("first")
    assert stuck.begun.wait(PATIENCE)
    for text in ("0123456", "too long", "abc", "d"):
        lines.put(text)
    stuck.go_on.set()
    lines.close(PATIENCE)
    assert stuck.written.splitlines() == [
        *("first", "0123456", "abc"),
        "smtpkit: 2 lines are missing here, which nobody read in time",
    ]


def test_the_end_does_not_wait_for_a_reader():
    stuck = Stuck()
    lines = Aside(stuck.write)
    lines.put("line")
    lines.close(0.01)
    assert stuck.begun.wait(PATIENCE)
    assert stuck.written == ""
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
