"""The adapters of docs/loops/, each run by its own loop in a thread, behind the same words.

SMTPKIT_LOOPS names those that are tested; without it that is the one that needs nothing but the standard library.
"""

import importlib
import os
import queue
import socket
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from smtpkit.tls import TLS, client_context, server_context

ROOT = Path(__file__).parent.parent.parent
CERTIFICATES = ROOT / "tests" / "certificates"
PATIENCE = 20  # seconds until a test that hangs fails
LOOPS = os.environ.get("SMTPKIT_LOOPS", "blocking").split(",")


class Blocking:
    """docs/loops/blocking.py."""

    def __init__(self):
        self.module = importlib.import_module("blocking")
        self.hears_last_words = True

    @contextmanager
    def serve(self, handler, config, **options):
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=self.module.serve, args=(listener, handler, config), kwargs=options)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            listener.close()

    def send(self, address, *arguments, **options):
        return self.module.send(socket.create_connection(address, PATIENCE), *arguments, **options)


class Gevent:
    """docs/loops/gevent_loop.py: the server's hub has a thread, the client's is the test's."""

    def __init__(self):
        self.module = importlib.import_module("gevent_loop")
        self.hears_last_words = True
        self.gevent = importlib.import_module("gevent")
        importlib.import_module("gevent.event")

    @contextmanager
    def serve(self, handler, config, **options):
        told = queue.Queue()

        def run():
            server = self.module.server(("127.0.0.1", 0), handler, config, **options)
            server.start()
            ended = self.gevent.event.Event()
            end = self.gevent.get_hub().loop.async_()
            end.start(ended.set)
            told.put((server.address, end))
            ended.wait()
            server.stop()
            self.gevent.get_hub().destroy(destroy_loop=True)

        thread = threading.Thread(target=run)
        thread.start()
        address, end = told.get(timeout=PATIENCE)
        try:
            yield address
        finally:
            end.send()
            thread.join(PATIENCE)

    def send(self, address, *arguments, **options):
        return self.module.send(self.module.socket.create_connection(address), *arguments, **options)


class Portal:
    """docs/loops/anyio_loop.py, or trio_loop.py, in a thread to which AnyIO has a portal."""

    def __init__(self, module, backend):
        self.module = importlib.import_module(module)
        self.name = module.removesuffix("_loop")
        self.library = importlib.import_module(self.name)
        self.backend = backend
        self.hears_last_words = backend != "asyncio"  # there a write that fails closes the socket, read or not
        self.portal = importlib.import_module("anyio.from_thread").start_blocking_portal

    @contextmanager
    def serve(self, handler, config, **options):
        serve = partial(self.module.serve_one, on_message=awaitable(handler), config=config, **options)
        with self.portal(self.backend) as portal:
            served, address = portal.start_task(getattr(self, f"listen_with_{self.name}"), serve)
            try:
                yield address
            finally:
                served.cancel()

    async def listen_with_trio(self, serve, *, task_status):
        async with self.library.open_nursery() as nursery:
            (listener,) = await nursery.start(partial(self.library.serve_tcp, serve, 0, host="127.0.0.1"))
            task_status.started(listener.socket.getsockname())

    async def listen_with_anyio(self, serve, *, task_status):
        listener = await self.library.create_tcp_listener(local_host="127.0.0.1")
        async with listener:
            port = listener.extra(self.library.abc.SocketAttribute.local_port)
            task_status.started(("127.0.0.1", port))
            await listener.serve(serve)

    def send(self, address, sender, recipients, body, **options):
        async def run():
            connect = self.library.open_tcp_stream if self.name == "trio" else self.library.connect_tcp
            stream = await connect(*address)
            return await self.module.send(stream, sender, recipients, in_pieces(body), **options)

        with self.portal(self.backend) as portal:
            return portal.call(run)


class Twisted:
    """docs/loops/twisted_loop.py; its reactor runs in a thread until the tests are over."""

    def __init__(self):
        self.module = importlib.import_module("twisted_loop")
        self.hears_last_words = True
        self.call = importlib.import_module("twisted.internet.threads").blockingCallFromThread
        reactor = self.reactor = self.module.reactor
        threading.Thread(target=reactor.run, kwargs={"installSignalHandlers": False}, daemon=True).start()

    @contextmanager
    def serve(self, handler, config, **options):
        module = self.module
        endpoint = module.TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        factory = module.SMTPFactory(awaitable(handler), config, **options)
        listening = self.call(self.reactor, endpoint.listen, factory)
        try:
            yield ("127.0.0.1", listening.getHost().port)
        finally:
            self.call(self.reactor, listening.stopListening)

    def send(self, address, sender, recipients, body, **options):
        module = self.module

        async def run():
            octets = await module.connectProtocol(module.TCP4ClientEndpoint(self.reactor, *address), module.Octets())
            return await module.send(octets, sender, recipients, in_pieces(body), **options)

        return self.call(self.reactor, lambda: module.ensureDeferred(run()))


def awaitable(handler):
    """A handler, for those that await theirs."""

    async def on_message(message):
        return handler(message)

    return on_message


def in_pieces(body):
    """A body, for those whose pieces are awaited."""
    if isinstance(body, bytes):
        return body

    async def pieces():
        for piece in body:
            yield piece

    return pieces()


KITS = {
    "blocking": Blocking,
    "trio": partial(Portal, "trio_loop", "trio"),
    "anyio": partial(Portal, "anyio_loop", "asyncio"),
    "anyio-trio": partial(Portal, "anyio_loop", "trio"),
    "twisted": Twisted,
    "gevent": Gevent,
}


@pytest.fixture(scope="session", params=LOOPS)
def loop(request):
    """`serve(handler, config, …)` gives an address, `send(address, sender, recipients, body, …)` a SendResult."""
    folder = str(ROOT / "docs" / "loops")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return KITS[request.param]()


@pytest.fixture
def client_tls():
    """What makes the client's side of TLS."""
    context = client_context(cafile=str(CERTIFICATES / "ca.pem"))
    return lambda: TLS(context, server_side=False, server_hostname="localhost")


@pytest.fixture
def server_tls():
    """What makes the server's side of TLS."""
    context = server_context(str(CERTIFICATES / "server.pem"))
    return lambda: TLS(context, server_side=True)
