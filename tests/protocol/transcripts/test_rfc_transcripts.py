"""The dialogues of the RFCs, each a file beside this one, played through both roles with the octets cut anywhere.

A file is a transcript.  Its first line names RFC and section, whose text it has: a comment says where it deviates from
it and why, or that the RFC has no dialogue.
Comments that begin with `#:` are for this module:

    #: lmtp                     it is LMTP
    #: login USER PASSWORD      who may log in
    #: digest HEX               what the server finds to be the right digest, where the RFC keeps the password
    #: token USER TOKEN         the same, by OAuth
    #: scram NONCE SALT COUNT   what the server has at random in its exchange
    #: secrets OCTETS…          what the client says where something is hidden; "" if it is nothing
    #: challenges OCTETS…       the same, of the server
    #: limits recipients=N      the server's limits
    #: client only: REASON      the server's role is not played
"""

from binascii import a2b_base64
from itertools import pairwise
from pathlib import Path

import pytest

from smtpkit.protocol import (
    DONE,
    DSN,
    EXTENSIONS,
    NEED_DATA,
    PAUSED,
    READ,
    WRITE,
    AuthPolicy,
    AuthResponse,
    BodyChunk,
    ClientConfig,
    ClientConnection,
    Credentials,
    Limits,
    ServerConfig,
    ServerConnection,
    TLSFacts,
    Transport,
)
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import opening, quit_session
from smtpkit.protocol.replay import ScriptedClient, ScriptedServer
from smtpkit.protocol.replay_turns import Content, Said, TLSTurn, turns
from smtpkit.protocol.sending import Sending
from smtpkit.protocol.transcript import Transcript
from smtpkit.protocol.transcript_entries import CLIENT, SERVER, Comment
from smtpkit.sasl import ScramKeys, mechanism_names
from smtpkit.sasl.registry import mechanism
from smtpkit.wire import commands as c
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.commands import parse_command
from smtpkit.wire.replies import Reply, ReplyAssembler

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.smtp"))
RFCS = [5321, 2920, 3030, 3207, 4954, 2033, 3461, 6531, 1652, 1870, 9422, 4865, 6710, 2852, 7628, 8689]
FACTS = TLSFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
FEW_PIECES = (1, 2, 3, 7, 1 << 20)  # octets
MOST_CUTS = 64


class Dialogue:
    """A file: its transcript, its turns, and what it says of the two roles."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.transcript = Transcript.parse(self.text)
        self.turns = turns(self.transcript)
        self.hints = {}
        for entry in self.transcript.entries:
            if isinstance(entry, Comment) and entry.text.startswith("#: "):
                name, _, rest = entry.text[3:].partition(" ")
                self.hints[name.rstrip(":")] = rest
        self.lmtp = "lmtp" in self.hints
        self.secrets = [each.strip(b'"') for each in self.hints.get("secrets", "").encode().split()]
        self.challenges = self.hints.get("challenges", "").encode().split()
        self.replies = [reply_of(turn) for turn in self.turns if isinstance(turn, Said) and turn.speaker == SERVER]

    @property
    def hellos(self):
        """The replies to EHLO or LHLO, as capabilities."""
        said = [turn for turn in self.turns if isinstance(turn, Said)]
        return [
            Capabilities.parse(reply_of(reply))
            for hello, reply in pairwise(said)
            if hello.lines[0].octets[1:4] == b"HLO"
        ]

    def config(self):
        """A server that offers what the transcript shows, as far as it is known here."""
        offered = {keyword: words for each in self.hellos for keyword, words in each.items()}
        auth = self.policy(offered["AUTH"]) if {"login", "token"} & self.hints.keys() else None
        size = offered.get("SIZE") or ("1000000",)
        limits = dict(pair.split("=") for pair in self.hints.get("limits", "").split())
        return ServerConfig(
            "mx.example",
            lmtp=self.lmtp,
            extensions=[each for each in offered if each in EXTENSIONS and each not in ("STARTTLS", "AUTH")],
            max_message_size=int(size[0]),
            tls_available="STARTTLS" in offered,
            auth=auth,
            limits=Limits(**{name: int(value) for name, value in limits.items()}),
        )

    def policy(self, offered):
        """Who may log in."""
        mechanisms = [name for name in offered if name in mechanism_names()]
        in_clear = "AUTH" in self.hellos[0] and not {"PLAIN"} & set(mechanisms)
        users = dict([self.hints["login"].split()]) if "login" in self.hints else {}
        if "scram" in self.hints:
            nonce, salt, count = self.hints["scram"].split()
            mechanisms = [with_nonce(name, nonce) for name in mechanisms]
            users = {
                user: ScramKeys.derive(password, offered[0], iterations=int(count), salt=a2b_base64(salt))
                for user, password in users.items()
            }
        return AuthPolicy(
            users,
            mechanisms=mechanisms,
            tokens=lambda question: [question.username, question.token] == self.hints["token"].split(),
            allow_in_clear=in_clear,
            required=False,
        )


def with_nonce(name, nonce):
    """The mechanism, its server's nonce told: as a class of one's own may do."""

    class Fixed(mechanism(name)):
        def server(self, facts, response):
            facts.nonce = nonce
            return super().server(facts, response)

    return Fixed


def reply_of(turn):
    assembler = ReplyAssembler()
    return [assembler.add(line.octets) for line in turn.lines][-1]


def pieces(octets, size, cut=None):
    if cut is not None:
        return [piece for piece in (octets[:cut], octets[cut:]) if piece]
    return [octets[start : start + size] for start in range(0, len(octets), size)]


# The server's role


class Server:
    """ServerConnection, with an application that decides as the transcript has it."""

    def __init__(self, dialogue):
        self.core = ServerConnection(dialogue.config())
        self.replies = dialogue.replies
        self.given = 0  # replies so far
        self.hellos = []
        self.assembler = ReplyAssembler()

    def receive(self, octets):
        """What it answers."""
        self.core.receive_data(octets)
        return self.run()

    def run(self):
        core, answers = self.core, b""
        while True:
            event = core.next_event()
            if core.unanswered is not None:
                self.decide(event)
            octets = core.data_to_send()
            for line in octets.split(b"\r\n")[:-1]:
                reply = self.assembler.add(line)
                if reply is not None:
                    self.given += 1
                    if isinstance(event, (c.Ehlo, c.Lhlo)) and reply.is_positive:
                        self.hellos.append(Capabilities.parse(reply))
            answers += octets
            if event in (NEED_DATA, PAUSED) or core.closed:
                return answers

    def decide(self, event):
        core, wanted = self.core, self.replies[self.given]
        if hasattr(event, "username"):
            core.supply(core.config.auth.answer(event))
        elif isinstance(event, BodyChunk) and core.config.lmtp:
            core.answer(self.replies[self.given : self.given + len(core.recipients)])
        elif not wanted.is_positive and not wanted.is_intermediate:
            core.reject(wanted)
        elif isinstance(event, (c.Vrfy, c.Expn)) or wanted.enhanced is not None:
            core.accept(wanted)
        else:
            core.accept()


def play_server(dialogue, size, cut=None):
    script = ScriptedClient(dialogue.transcript, secrets=dialogue.secrets)
    server = Server(dialogue)
    answers = server.run()
    while True:
        for piece in pieces(answers, size, cut):
            script.receive_data(piece)
        if script.transport is Transport.START_TLS:
            assert server.core.transport is Transport.START_TLS
            script.tls_established()
            server.core.tls_established(FACTS)
        if script.done and not (said := script.data_to_send()):
            return server
        said = said if script.done else script.data_to_send()
        assert said, script
        answers = b"".join([server.receive(piece) for piece in pieces(said, size, cut)])


# The client's role


def play_client(dialogue, size, cut=None):
    script = ScriptedServer(dialogue.transcript, strict=True, secrets=dialogue.challenges)
    core = ClientConnection(ClientConfig(lmtp=dialogue.lmtp))
    secrets, heard = iter(dialogue.secrets), []
    for turn in dialogue.turns:
        if isinstance(turn, TLSTurn):
            script.tls_established()
            core.tls_established(FACTS)
        elif turn.speaker == CLIENT:
            say(core, turn, secrets)
        else:
            for piece in pieces(core.data_to_send(), size, cut):
                script.receive_data(piece)
            for piece in pieces(script.data_to_send(), size, cut):
                core.receive_data(piece)
                while isinstance(event := core.next_event(), Reply):
                    heard.append(event)
    return script, core, heard


def say(core, turn, secrets):
    if isinstance(turn, Content):
        return core.send(BodyChunk(turn.octets(), turn.by_data and turn.ended))
    line = turn.lines[0]
    if line.hidden and not line.octets:
        return core.send(AuthResponse(a2b_base64(next(secrets))))
    octets = line.octets + b" " + next(secrets) if line.hidden else line.octets
    return core.send(parse_command(octets, smtputf8=True))


@pytest.fixture(params=FILES, ids=lambda path: path.stem, scope="module")
def dialogue(request):
    return Dialogue(request.param)


def cuts(dialogue):
    yield from ((size, None) for size in FEW_PIECES)
    longest = max(len(line) for line in dialogue.text.splitlines())
    yield from ((1, cut) for cut in range(1, min(longest, MOST_CUTS)))


@pytest.fixture
def digest(dialogue, monkeypatch):
    """The digest that the server computes, where only the one of the RFC is known."""
    if "digest" in dialogue.hints:
        monkeypatch.setattr("smtpkit.sasl.cram_md5._digest", lambda *_: dialogue.hints["digest"].encode())


@pytest.mark.usefixtures("digest")
def test_the_server_gives_the_codes_of_the_rfc(dialogue):
    if "client" in dialogue.hints:
        assert dialogue.hints["client"].startswith("only: ")
        return
    for size, cut in cuts(dialogue):
        server = play_server(dialogue, size, cut)
        assert server.given == len(dialogue.replies)
        for shown, offered in zip(dialogue.hellos, server.hellos, strict=False):
            known = {each for each in shown if each in EXTENSIONS and each != "AUTH"}
            assert known <= set(offered)


def test_the_client_says_the_lines_of_the_rfc(dialogue):
    for size, cut in cuts(dialogue):
        script, core, heard = play_client(dialogue, size, cut)
        for piece in pieces(core.data_to_send(), size, cut):
            script.receive_data(piece)
        assert script.done
        assert [reply.code for reply in heard] == [reply.code for reply in dialogue.replies]
        assert core.closed is (b"QUIT" in [line.octets for turn in said_by_client(dialogue) for line in turn.lines])


# Dialogues that the exchanges hold by themselves, with what they are asked for: sender, recipients, options.
# The others have the client give what is not asked for (VRFY, RSET), or leave out what is offered (SIZE=), as
# their RFC may and this client does not.
EXCHANGES = {
    "rfc5321_d3_2": ("JQP@bar.com", ["Jones@XYZ.COM"], {}),
    "rfc3030_4_1": ("Sam@Random.com", ["Susan@Random.com"], {}),
    "rfc3461_10_2": (
        "Alice@Example.ORG",
        ["Bob@Example.COM"],
        {"dsn": DSN(ret="HDRS", envid="QQ314159", notify=["SUCCESS"], orcpt=True)},
    ),
    "rfc3207_5": None,
    "rfc4954_4_1_plain": None,
}


class NoTLS:
    """TLS that changes no octet, and is up at once."""

    facts, eof = FACTS, False

    def __init__(self):
        self.out = b""

    def feed(self, octets):
        return octets

    def write(self, octets):
        self.out += octets

    def data_to_send(self):
        octets, self.out = self.out, b""
        return octets

    def close(self):
        pass


def perform(driver, script, exchange, size, body=None):
    for piece in pieces(script.data_to_send(), size):
        driver.receive(piece)
    driver.start(exchange, body)
    while (need := driver.next()) is not DONE:
        if script.transport is Transport.START_TLS:
            script.tls_established()
        assert need is READ or need is WRITE
        for piece in pieces(driver.take(), size):
            script.receive_data(piece)
        for piece in pieces(script.data_to_send(), size):
            driver.receive(piece)
    return driver.result


@pytest.mark.parametrize(("file", "wanted"), EXCHANGES.items(), ids=EXCHANGES)
@pytest.mark.parametrize("size", FEW_PIECES)
def test_the_exchanges_hold_the_dialogue(file, wanted, size):
    dialogue = Dialogue(FOLDER / f"{file}.smtp")
    script = ScriptedServer(dialogue.transcript)
    core = ClientConnection(ClientConfig())
    hello = next(turn for turn in said_by_client(dialogue) if turn.lines[0].octets.startswith(b"EHLO"))
    credentials = Credentials(*dialogue.hints["login"].split()) if "login" in dialogue.hints else None
    driver = ClientDriver(core, make_tls=NoTLS)
    name = hello.lines[0].octets[5:].decode()
    perform(driver, script, opening(core, name, credentials=credentials), size)
    if wanted is not None:
        sender, recipients, options = wanted
        content = next(turn for turn in dialogue.turns if isinstance(turn, Content)).octets()
        result = perform(driver, script, Sending(core, sender, recipients, content, options).exchange(), size, content)
        assert list(result.accepted) == recipients
        assert perform(driver, script, quit_session(), size).code == 221
    assert script.done


def said_by_client(dialogue):
    return [turn for turn in dialogue.turns if isinstance(turn, Said) and turn.speaker == CLIENT]


def test_each_file_names_its_source_and_comes_back_from_its_text(dialogue):
    assert dialogue.text.startswith("# RFC ")
    assert str(Transcript.parse(str(dialogue.transcript))) == str(dialogue.transcript)
    assert str(dialogue.transcript).replace("C: \n", "C:\n") + "\n" == dialogue.text


def test_all_rfcs_are_there():
    assert {int(path.stem.partition("_")[0].removeprefix("rfc")) for path in FILES} == set(RFCS)
