"""Endpoints: what a process was started with, and what cannot be one."""

import contextlib
import errno
import os
import socket

import pytest

from smtpkit.endpoints import Listener

OWN = str(os.getpid())


@pytest.fixture
def inherited(monkeypatch):
    """Makes file descriptors of sockets in a row, as systemd hands them over."""
    made = []

    def make(*kinds):
        # Numbers far from those in use.
        first = 700
        for place, kind in enumerate(kinds):
            with socket.socket(type=kind) as sock:
                sock.bind(("127.0.0.1", 0))
                os.dup2(sock.fileno(), first + place)
            made.append(first + place)
        monkeypatch.setattr("smtpkit.endpoints._FIRST_INHERITED", first)

    yield make
    for number in made:
        with contextlib.suppress(OSError):  # its socket was closed
            os.close(number)


def test_names_say_what_is_spoken_on_a_socket(inherited):
    inherited(socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM)
    environ = {"LISTEN_PID": OWN, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "smtp:submissions:proxied"}
    listeners = Listener.inherited(environ=environ, proxy_protocol=["proxied"])
    assert [(each.implicit_tls, each.proxy_protocol) for each in listeners] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    for listener in listeners:
        (sock,) = listener.open()
        assert not sock.get_inheritable()
        listener.remove()
        sock.close()


def test_sockets_may_have_no_names(inherited):
    inherited(socket.SOCK_STREAM)
    (listener,) = Listener.inherited(environ={"LISTEN_PID": OWN, "LISTEN_FDS": "1"})
    assert not listener.implicit_tls
    listener.sock.close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": OWN, "LISTEN_FDS": "0"},
        {"LISTEN_PID": OWN, "LISTEN_FDS": "x"},
        {"LISTEN_FDS": "1"},
    ],
)
def test_a_process_that_was_started_without_sockets_has_none(environ):
    with pytest.raises(OSError, match="was not started with sockets"):
        Listener.inherited(environ=environ)


def test_the_environment_is_that_of_the_process(monkeypatch):
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(OSError, match="LISTEN_FDS"):
        Listener.inherited()


def test_what_takes_no_connections_is_refused(inherited):
    inherited(socket.SOCK_DGRAM)
    with pytest.raises(OSError, match="no socket that takes connections"):
        Listener.inherited(environ={"LISTEN_PID": OWN, "LISTEN_FDS": "1"})


def test_what_is_no_socket_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("smtpkit.endpoints._FIRST_INHERITED", 700)
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDONLY)
    os.dup2(file, 700)
    try:
        with pytest.raises(OSError, match="file descriptor 700 is no socket"):
            Listener.inherited(environ={"LISTEN_PID": OWN, "LISTEN_FDS": "1"})
    finally:
        os.close(file)
        os.close(700)


def test_an_address_of_both_families_has_one_port():
    sockets = Listener("", 0).open()
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
    finally:
        for sock in sockets:
            sock.close()


def test_where_one_family_fails_no_socket_is_left(monkeypatch):
    opened = []

    def listen(family, address, reuse_port):
        if opened:
            raise OSError(98, "in use")
        opened.append(socket.socket())
        return opened[0]

    monkeypatch.setattr("smtpkit.endpoints._listen", listen)
    with pytest.raises(OSError, match="in use"):
        Listener("", 25).open()
    assert opened[0].fileno() == -1


def test_a_unix_socket_has_its_permissions_before_anybody_can_connect(monkeypatch, tmp_path):
    path = str(tmp_path / "server.sock")
    chmod = os.chmod

    def refused(name, mode):
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(name)
        chmod(name, mode)

    monkeypatch.setattr("smtpkit.endpoints.os.chmod", refused)
    (sock,) = Listener(unix=path, mode=0o620).open()
    sock.close()
    assert os.stat(path).st_mode & 0o777 == 0o620


def test_what_a_killed_server_left_makes_room_and_nothing_else_does(tmp_path):
    file, left = tmp_path / "file", tmp_path / "left"
    file.write_text("precious")
    with pytest.raises(OSError, match=r"cannot listen on unix:.*in use"):
        Listener(unix=str(file)).open()
    assert file.read_text() == "precious"
    (first,) = Listener(unix=str(left)).open()
    with pytest.raises(OSError, match="in use"):
        Listener(unix=str(left)).open()
    first.close()
    (again,) = Listener(unix=str(left)).open()
    again.close()


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_where_the_kernel_has_no_ipv6_the_other_family_is_listened_on(monkeypatch, caplog, number):
    made = socket.socket

    def without(family=socket.AF_INET, *arguments, **options):
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return made(family, *arguments, **options)

    monkeypatch.setattr("smtpkit.endpoints.socket.socket", without)
    for host in ("", "localhost"):
        monkeypatch.setattr(
            "smtpkit.endpoints.socket.getaddrinfo",
            lambda *_, **__: [(socket.AF_INET6, 1, 6, "", ("::1", 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))],
        )
        (sock,) = Listener(host, 0).open()
        assert sock.family == socket.AF_INET
        sock.close()
    assert len(caplog.records) == 2
    assert "cannot listen on ::1 port 0: " in caplog.text
    monkeypatch.setattr(
        "smtpkit.endpoints.socket.getaddrinfo", lambda *_, **__: [(socket.AF_INET6, 1, 6, "", ("::1", 0))]
    )
    with pytest.raises(OSError, match="cannot listen on ::1"):
        Listener("::1", 0).open()
