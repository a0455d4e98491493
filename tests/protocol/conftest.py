"""Playing a server, by script, to the client's half of the protocol."""

import pytest

from smtpkit.protocol import CHUNK, DONE, READ, WRITE, Call, ClientConfig, ClientConnection, TLSFacts
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.wire.commands import Ehlo, Lhlo


class Played:
    """What came of a play: `result` of the exchange, and how often the client waited for the server."""

    def __init__(self, result, rounds, driver):
        self.result, self.rounds, self.driver = result, rounds, driver


def _turns(script):
    """[(what the client must say, what the server does then), …] of lines "C: …" and "S: …"."""
    turns, said = [], b""
    for line in script:
        octets = line if isinstance(line, bytes) else line.encode()
        side, text = octets[:3], octets[3:]
        if side == b"C: ":
            said += text + b"\r\n"
        elif side == b"C~ ":  # octets without CRLF
            said += text
        elif said or not turns:
            turns.append((said, [text]))
            said = b""
        else:
            turns[-1][1].append(text)
    assert not said, "a script ends with the server's turn"
    return turns


def _act(driver, acts):
    for act in acts:
        if act == b"<eof>":
            driver.receive(b"")
        elif act == b"<reset>":
            driver.lost(ConnectionResetError(104, "Connection reset by peer"))
        elif act == b"<unwritten>":
            driver.lost(BrokenPipeError(32, "Broken pipe"), flushed=False)
        elif act == b"<silence>":
            driver.timed_out()
        else:
            driver.receive(act + b"\r\n")


@pytest.fixture
def play():
    """play(core or driver, exchange, script, body=…, chunks=…) -> Played; each group must be as in the script."""

    def run(client, exchange, script, *, body=None, chunks=()):
        driver = client if isinstance(client, ClientDriver) else ClientDriver(client)
        turns, pieces, rounds, sent = _turns(script), iter(chunks), 0, b""
        driver.start(exchange, body)
        answer = None
        for _ in range(10_000):
            need, answer = driver.next(answer), None
            if need is DONE:
                assert sent + driver.take() == b"", "octets that no turn of the script expects"
                assert turns == [], "turns that were not played"
                return Played(driver.result, rounds, driver)
            if need is CHUNK:
                answer = next(pieces, None)
            elif type(need) is Call:
                answer = need.function()
            else:
                assert need is READ or need is WRITE
                sent += driver.take()
                if turns and sent == turns[0][0] and (need is READ or sent):
                    sent = b""
                    rounds += 1
                    _act(driver, turns.pop(0)[1])
                elif need is READ:
                    assert sent == (turns[0][0] if turns else None), turns
        raise AssertionError("the exchange does not end")

    return run


@pytest.fixture
def ready():
    """ready("PIPELINING", "AUTH PLAIN", …, lmtp=…, tls=…) -> ClientConnection after its EHLO."""

    def make(*keywords, lmtp=False, tls=False):
        core = ClientConnection(ClientConfig(lmtp=lmtp))
        if tls:
            core.tls_established(TLSFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", True))
        core.receive_data(b"220 mx.example\r\n")
        core.next_event()
        core.send(Lhlo("c.example") if lmtp else Ehlo("c.example"))
        core.data_to_send()
        lines = ["mx.example", *keywords]
        core.receive_data("".join(f"250-{line}\r\n" for line in lines[:-1]).encode() + f"250 {lines[-1]}\r\n".encode())
        core.next_event()
        return core

    return make
