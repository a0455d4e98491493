"""One scenario, both colours: tests here are coroutine functions, and `kit` has the same words for sync and asyncio."""

import asyncio
import gc
import inspect
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import pytest

import smtpkit.asyncio
import smtpkit.sync
from smtpkit import parse_reply

PATIENCE = 20  # seconds until a test that hangs fails
CERTIFICATES = Path(__file__).parent.parent / "certificates"
MODULES = {"asyncio": smtpkit.asyncio, "sync": smtpkit.sync}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine function; what its loop or a thread complains about fails it."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(function).parameters}
    complaints = []

    async def whole_test():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(40))  # blocking calls of a scenario must not wait for each other
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(PATIENCE):
            await function(**arguments)
        gc.collect()  # an exception that nobody retrieved is told when its task goes

    gc.freeze()  # what there was before need not be looked at again
    asyncio.run(whole_test())
    for thread in threading.enumerate():
        if thread.name.startswith("smtpkit"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread} is left over"
    assert not complaints, complaints
    return True


def pytest_sessionfinish():
    """Let the garbage collector see again what was frozen: hypothesis, loaded now, asks it who holds an object."""
    gc.unfreeze()


class Event:
    """An event that handlers of both colours, and the test, can set and wait for."""

    def __init__(self):
        self._event = threading.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    async def wait(self):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            assert self._event.wait(PATIENCE)
        else:
            assert await asyncio.to_thread(self._event.wait, PATIENCE)


class Blocking:
    """An object of smtpkit.sync, whose methods are called in a worker thread and awaited."""

    def __init__(self, target):
        self.target = target

    def __getattr__(self, name):
        value = getattr(self.target, name)
        if not inspect.ismethod(value):
            return value
        return lambda *arguments, **options: asyncio.to_thread(value, *arguments, **options)


class Peer:
    """The other end by hand: a client that talks to a server under test, or the reverse."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def write(self, octets):
        self.writer.write(octets)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def line(self):
        """The next line without its CRLF; "" at the end."""
        return (await self.reader.readline()).decode().removesuffix("\r\n")

    async def reply(self):
        """The next reply, with all its lines; None at the end."""
        octets = b""
        while line := await self.reader.readline():
            octets += line
            if line[3:4] != b"-":
                return parse_reply(octets)
        return None

    async def say(self, *lines):
        """Write each line and read its reply; the last one."""
        for line in lines:
            await self.write(f"{line}\r\n".encode())
            reply = await self.reply()
        return reply

    async def begin(self):
        """As far as the 354 of a transaction."""
        await self.reply()
        reply = await self.say("EHLO client.example", "MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA")
        assert reply.code == 354

    async def ended(self):
        """Whether the other side has closed; octets before that are dropped."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        return True

    def close(self):
        self.writer.close()

    def reset(self):
        self.writer.transport.abort()


class Kit:
    """smtpkit.sync or smtpkit.asyncio as client and as server, driven by the same words."""

    Event = Event

    def __init__(self, client, server):
        self.client_colour = client
        self.colour = server
        self.client_module = MODULES[client]
        self.module = MODULES[server]

    # Servers

    @asynccontextmanager
    async def serve(self, handler=None, **options):
        server = self.server(handler, **options)
        await server.start()
        try:
            yield server
        finally:
            await server.close()

    def server(self, handler=None, **options):
        if not options.keys() & {"unix", "sock", "listeners", "port"}:
            options["port"] = 0
        options.setdefault("hostname", "mx.example")
        server = self.module.serve(self.handler(handler), **options)
        return server if self.colour == "asyncio" else Blocking(server)

    def handler(self, handler):
        """A handler, or a class of hooks, written with `async def`, in the colour of the server."""
        if handler is None:
            handler = _accept
        if inspect.isclass(handler) and not issubclass(handler, self.module.Session):
            return self.session(handler)
        return self.function(handler) if inspect.iscoroutinefunction(handler) else handler

    def session(self, hooks):
        members = {
            name: self.function(value) if inspect.iscoroutinefunction(value) else value
            for name, value in vars(hooks).items()
            if name not in ("__dict__", "__weakref__")
        }
        return type(hooks.__name__, (self.module.Session,), members)

    def function(self, function):
        if self.colour == "asyncio":
            return function

        def blocking(*arguments):
            arguments = [_Pieces(each) if inspect.isgenerator(each) else each for each in arguments]
            return _at_once(function(*arguments))

        return blocking

    @staticmethod
    def tls(name):
        return (str(CERTIFICATES / f"{name}.pem"), None)

    cafile = str(CERTIFICATES / "ca.pem")

    # Clients

    @asynccontextmanager
    async def connect(self, where, **options):
        client = await self.connected(where, **options)
        try:
            yield client
        finally:
            await client.close()

    async def connected(self, where, **options):
        """A live client, for the test to close."""
        target = where if isinstance(where, (tuple, str)) else where.address
        target = (target,) if isinstance(target, str) else target
        if self.client_colour == "asyncio":
            return await self.client_module.connect(*target, **options)
        return Blocking(await asyncio.to_thread(self.client_module.connect, *target, **options))

    # Pools

    @asynccontextmanager
    async def pool(self, where, **options):
        target = where if isinstance(where, (tuple, str)) else where.address
        target = (target,) if isinstance(target, str) else target
        pool = self.client_module.Pool(*target, **options)
        pool = pool if self.client_colour == "asyncio" else Blocking(pool)
        try:
            yield pool
        finally:
            await pool.close()

    @asynccontextmanager
    async def lent(self, pool, **options):
        """A client of the pool, as `pool.connection()` hands it out."""
        if self.client_colour == "asyncio":
            async with pool.connection(**options) as client:
                yield client
            return
        manager = pool.target.connection(**options)
        client = Blocking(await asyncio.to_thread(manager.__enter__))
        try:
            yield client
        except BaseException as error:
            if not await asyncio.to_thread(manager.__exit__, type(error), error, None):
                raise
        else:
            await asyncio.to_thread(manager.__exit__, None, None, None)

    async def many(self, pool, items, **options):
        """What `pool.send_many()` gives."""
        if self.client_colour == "asyncio":
            async with aclosing(pool.send_many(items, **options)) as results:
                async for each in results:
                    yield each
            return
        results = pool.target.send_many(items, **options)
        try:
            while (each := await asyncio.to_thread(next, results, None)) is not None:
                yield each
        finally:
            await asyncio.to_thread(results.close)

    # The other end by hand

    @staticmethod
    @asynccontextmanager
    async def peer(where, **options):
        if isinstance(where, str):
            reader, writer = await asyncio.open_unix_connection(where)
        else:
            address = where if isinstance(where, tuple) else where.address
            reader, writer = await asyncio.open_connection(*address, **options)
        peer = Peer(reader, writer)
        try:
            yield peer
        finally:
            peer.close()
            with suppress(OSError):
                await writer.wait_closed()

    @staticmethod
    @asynccontextmanager
    async def script(play):
        """A server that plays `await play(peer)` to each client; gives its address."""
        tasks = []

        async def connected(reader, writer):
            tasks.append(asyncio.current_task())
            try:
                await play(Peer(reader, writer))
            except (ConnectionError, asyncio.CancelledError):
                pass  # the client has gone, or the test is over
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[:2]
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Pieces:
    """A blocking stream of a body, for a hook that says `async for`."""

    def __init__(self, stream):
        self._stream = stream

    def __aiter__(self):
        return self

    async def __anext__(self):
        for piece in self._stream:
            return piece
        raise StopAsyncIteration


async def _accept(message):
    return None


def _at_once(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("a hook of the blocking server awaited something")


@pytest.fixture(params=["asyncio", "sync"])
def kit(request):
    """Client and server of one colour."""
    return Kit(request.param, request.param)


@pytest.fixture(params=["asyncio-asyncio", "asyncio-sync", "sync-asyncio", "sync-sync"])
def mixed(request):
    """Client and server in all combinations of colours."""
    return Kit(*request.param.split("-"))


@pytest.fixture
def asyncio_kit():
    """For what only asyncio has."""
    return Kit("asyncio", "asyncio")


@pytest.fixture
def log(caplog):
    """The records of the loggers of smtpkit."""
    caplog.set_level(logging.DEBUG, "smtpkit")
    return caplog
