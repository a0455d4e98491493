"""gevent: its sockets block one greenlet alone, so the functions for blocking sockets serve as they are."""

from blocking import Handler, MakeTLS, send, serve_one
from gevent import socket
from gevent.server import StreamServer

from smtpkit import ServerConfig


def server(
    address: tuple[str, int],
    on_message: Handler,
    config: ServerConfig,
    make_tls: MakeTLS | None = None,
    *,
    implicit_tls: bool = False,
) -> StreamServer:
    """A server with a greenlet for each client: `start()` it, or `serve_forever()`."""

    def serve(sock: socket.socket, _peer: object) -> None:
        serve_one(sock, on_message, config, make_tls, implicit_tls=implicit_tls)

    return StreamServer(address, serve)


if __name__ == "__main__":
    listening = server(
        ("127.0.0.1", 0), lambda message: print(message.recipients, message.content), ServerConfig("localhost")
    )
    listening.start()
    client = socket.create_connection(listening.address)
    print(send(client, "a@a.example", ["b@b.example"], b"Subject: hi\n\nHello.\n").recipients)
