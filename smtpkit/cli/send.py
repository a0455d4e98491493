"""`smtpkit send`: deliver one message, and say what became of each recipient."""

import os
from contextlib import ExitStack

from smtpkit.cli.composing import NotUsable, Outgoing, outgoing
from smtpkit.cli.output import complain, say, show
from smtpkit.cli.parser import seconds
from smtpkit.errors import SMTPError
from smtpkit.protocol.credentials import Credentials
from smtpkit.protocol.results import Verdict
from smtpkit.protocol.target import Target
from smtpkit.protocol.transcript import Transcript
from smtpkit.sync import connect

__all__ = ["EPILOG", "configure", "run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Mapping
    from typing import Any

    from smtpkit.cli.parser import Parser
    from smtpkit.protocol.results import Outcome

EPILOG = """\
URL: smtp://host[:25], smtps://user@host[:465], lmtp://host[:24], lmtp+unix:///path; a host alone is smtp.
A password: --password-file, or the environment's SMTPKIT_PASSWORD, which other users of this host cannot see as they
can see the command line.

The message is FILE as its octets are, with line ends made CRLF; or one made of --subject, --body and --attach, with
Date and Message-ID.  Without FILE and --body, standard input is read.  Without --from or --to they come from the
header; Bcc fields that recipients were taken from are not sent.

exit status:
  0    accepted for every recipient
  1    a recipient was refused or deferred, or the message was not sent
  2    the arguments make no sense
  3    the outcome is unknown: the connection broke before the last reply
  130  interrupted
"""

_DONE, _REFUSED, _UNKNOWN = 0, 1, 3


def configure(parser: "Parser") -> None:
    """Add the arguments."""
    parser.add_argument("url", metavar="URL", help="the server")
    parser.add_argument("file", metavar="FILE", nargs="?", help='the message; "-" for standard input')
    parser.add_argument("--from", dest="sender", metavar="A", help='reverse-path; "" for the null one')
    parser.add_argument("--to", action="append", metavar="B", help="forward-path; repeatable")
    made = parser.group("a message to be made")
    made.add_argument("--subject", metavar="S")
    made.add_argument("--body", metavar="TEXT")
    made.add_argument("--attach", action="append", metavar="F", help="repeatable")
    session = parser.group("the session")
    session.add_argument("--tls", choices=("implicit", "required", "if-offered", "off"))
    session.add_argument("--unverified-tls", action="store_true", help="take any certificate")
    session.add_argument("--cafile", metavar="F", help="PEM file of authorities, in place of the system's")
    session.add_argument("--fingerprint", metavar="HEX", help="SHA-256 of the one certificate that is trusted")
    session.add_argument("--server-hostname", metavar="H", help="the name that the certificate must have")
    session.add_argument("--client-cert", metavar="F", help="PEM file with a certificate to show to the server")
    session.add_argument("--client-key", metavar="F", help="PEM file with its key, if that is in another")
    session.add_argument("--password-file", metavar="F", help="its first line is the password")
    session.add_argument("--timeout", type=seconds, metavar="S", help="seconds for each wait")
    session.add_argument("--deadline", type=seconds, metavar="S", help="seconds for connecting, and for the message")
    session.add_argument("--local-hostname", metavar="H", help="the name for EHLO, in place of the own address")
    session.add_argument("--local-address", metavar="IP", help="the address to connect from")
    session.add_argument("--transcript", action="store_true", help="show the session on standard error")
    session.add_argument("--transcript-file", metavar="F", help="write the session to a file, to be played again")


def run(parser: "Parser", arguments: "Namespace") -> int:
    """Send, and report."""
    credentials = _credentials(parser, arguments)
    if arguments.client_key is not None and arguments.client_cert is None:
        parser.error("--client-key needs --client-cert")
    with ExitStack() as resources:
        try:
            message = outgoing(arguments, resources)
        except NotUsable as error:
            parser.error(str(error))
        transcript = _transcript(arguments, resources)
        settings = {**_settings(arguments), "auth": credentials, "transcript": transcript}
        return _send(parser, message, arguments.url, settings)


def _settings(arguments: "Namespace") -> "dict[str, Any]":
    # What of connect() the options say.
    certificate, key, address = arguments.client_cert, arguments.client_key, arguments.local_address
    names = ("tls", "unverified_tls", "cafile", "fingerprint", "server_hostname", "deadline", "local_hostname")
    return {
        **{name: getattr(arguments, name) for name in names},
        "client_certificate": certificate if key is None else (certificate, key),
        "local_address": None if address is None else (address, 0),
        "timeouts": arguments.timeout,
    }


def _send(parser: "Parser", message: Outgoing, url: str, settings: "dict[str, Any]") -> int:
    try:
        try:
            client = connect(url, **settings)
        except ValueError as error:  # ParseError is one: a name that is none
            parser.error(str(error))
        with client:
            result = message.send(client)
    except (SMTPError, OSError) as error:  # OSError: the message cannot be read
        complain(error)
        return _report(message.recipients, error.recipients if isinstance(error, SMTPError) else {})
    return _report(message.recipients, result.recipients)


def _report(addresses: "Iterable[str]", outcomes: "Mapping[str, Outcome]") -> int:
    status = _DONE
    for address in addresses:
        outcome = outcomes.get(address)
        if outcome is None:
            say(f"{address} not sent")
        elif outcome.reply is None:
            say(f"{address} {outcome.verdict.value}: no reply came to the message")
        else:
            say(f"{address} {outcome.verdict.value}: {outcome.reply}")
        if outcome is not None and outcome.verdict is Verdict.UNKNOWN:
            status = _UNKNOWN
        elif status != _UNKNOWN and (outcome is None or outcome.verdict is not Verdict.ACCEPTED):
            status = _REFUSED
    return status


def _credentials(parser: "Parser", arguments: "Namespace") -> Credentials | None:
    try:
        given = Target.parse(arguments.url, tls=arguments.tls).credentials
    except ValueError as error:
        parser.error(f"URL: {error}")
    if given is None:
        if arguments.password_file is not None:
            parser.error("--password-file needs a user in the URL: smtps://user@host")
        return None
    password = given.password
    if arguments.password_file is not None:
        with open(arguments.password_file, encoding="utf-8") as file:
            password = file.readline().rstrip("\r\n")
    elif password is None:
        password = os.environ.get("SMTPKIT_PASSWORD")
    if not password:
        parser.error("no password: use --password-file, or SMTPKIT_PASSWORD in the environment")
    return Credentials(given.username, password)


def _transcript(arguments: "Namespace", resources: ExitStack) -> Transcript | None:
    shows = [show] if arguments.transcript else []
    if arguments.transcript_file is not None:
        # By lines, so that it is there whatever becomes of this process.
        file = resources.enter_context(open(arguments.transcript_file, "w", encoding="utf-8", buffering=1))  # noqa: SIM115
        shows.append(lambda line: print(line, file=file))
    if not shows:
        return None

    def record(line: str) -> None:
        for each in shows:
            each(line)

    transcript = Transcript(record)
    resources.callback(transcript.flush)  # of a message whose connection was lost
    return transcript
