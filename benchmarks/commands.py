"""What reading a command line costs, against the parsing in aiosmtpd and Twisted."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from measure import compare
from messages import RECIPIENT, SENDER
from processes import pin
from report import table

from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Mail, parse_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[bytes], object]

# The first four are what a server sees all day; the rest goes through the complete parser.
_LINES = {
    "MAIL": f"MAIL FROM:<{SENDER}>\r\n".encode(),
    "MAIL with SIZE and BODY": f"MAIL FROM:<{SENDER}> SIZE=12345 BODY=8BITMIME\r\n".encode(),
    "RCPT": f"RCPT TO:<{RECIPIENT}>\r\n".encode(),
    "RCPT with NOTIFY and ORCPT": f"RCPT TO:<{RECIPIENT}> NOTIFY=FAILURE,DELAY ORCPT=rfc822;{RECIPIENT}\r\n".encode(),
    "RCPT with a Quoted-string": b'RCPT TO:<"two words"@server.example>\r\n',
    "RCPT with a literal": b"RCPT TO:<recipient@[192.0.2.1]>\r\n",
    "RCPT with a space behind the colon": f"RCPT TO: <{RECIPIENT}>\r\n".encode(),
}
_ALONE = {
    "DATA": b"DATA\r\n",
    "EHLO": b"EHLO client.example\r\n",
    "BDAT": b"BDAT 12345 LAST\r\n",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds")
    options = parser.parse_args()
    seconds = 0.02 if options.quick else 0.2
    pin("measured")
    peers = {name: make() for name, make in (("aiosmtpd", _aiosmtpd), ("twisted", _twisted)) if find_spec(name)}
    rows = []
    for what, line in _LINES.items():
        parsers: dict[str, Parse] = {"smtpkit": lambda line: parse_command(line, strict=False), **peers}
        # Text as a default: a closure would read the loop's last line.
        calls = {
            name: lambda parse=parse, line=line: parse(line)
            for name, parse in parsers.items()
            if parse(line) is not None
        }
        timings = compare(calls, seconds=seconds)
        own = timings["smtpkit"]
        rows.append([what, f"{own.median * 1e6:.2f}", f"±{own.spread * 50:.0f}%"])
        rows[-1] += [
            f"{timings[name].median * 1e6:.1f} ({timings[name].median / own.median:.0f} x)"
            if name in timings
            else "refuses it"
            for name in peers
        ]
    print(table("Reading MAIL and RCPT: CPU in microseconds", ["", "smtpkit", "spread", *peers], rows))
    alone: dict[str, Callable[[], object]] = {
        f"parse {what}": lambda line=line: parse_command(line) for what, line in _ALONE.items()
    }
    mailbox = Mailbox.parse(SENDER)
    mail = Mail(mailbox, {"SIZE": 12345, "BODY": "8BITMIME"})
    alone |= {
        "Mailbox.parse()": lambda: Mailbox.parse(SENDER),
        "Mail() with SIZE and BODY": lambda: Mail(mailbox, {"SIZE": 12345, "BODY": "8BITMIME"}),
        "bytes() of it": lambda: bytes(mail),
    }
    timings = compare(alone, seconds=seconds)
    rows = [[what, f"{timing.median * 1e6:.2f}", f"±{timing.spread * 50:.0f}%"] for what, timing in timings.items()]
    print(table("Reading and writing other commands", ["", "us", "spread"], rows))


def _aiosmtpd() -> "Parse":
    """The calls of its smtp_MAIL and smtp_RCPT that parse, without those that reply."""
    from aiosmtpd.smtp import SMTP

    server = SMTP(object())

    def parse(line: bytes) -> object:
        _, _, argument = line.rstrip(b"\r\n").decode("ascii").partition(" ")
        keyword = "FROM:" if argument[:1] == "F" else "TO:"
        address, parameters = server._getaddr(server._strip_command_keyword(keyword, argument))
        return address, server._getparams(parameters.upper().split())

    return parse


def _twisted() -> "Parse":
    """The pattern of its do_MAIL and do_RCPT and the address; it does not look at parameters at all."""
    from twisted.mail.smtp import SMTP, Address

    def parse(line: bytes) -> object:
        _, _, argument = line.rstrip(b"\r\n").partition(b" ")
        match = (SMTP.mail_re if argument[:1] == b"F" else SMTP.rcpt_re).match(argument)
        return match and (Address(match["path"], b"server.example"), match["opts"])

    return parse


if __name__ == "__main__":
    main()
