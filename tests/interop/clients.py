"""Real clients: how each is made to deliver one message, with nothing added to it."""

import asyncio
import json
import shutil
import smtplib
import ssl
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from node_server import node_folder
from processes import PATIENCE, Failed, run
from sample import RECIPIENT, SENDER
from servers import CA, PASSWORD, USER

__all__ = ["CLIENTS", "CLIENT_NAME", "Client", "Way"]

CLIENT_NAME = "client.example"


class Way(NamedTuple):
    """How to reach a server.

    Attributes:
        port: on 127.0.0.1; with TLS the host is called localhost, the name in the certificate.
        tls: "clear", "starttls" or "implicit".
        mechanism: of the login, or None for none.
        lmtp: whether LMTP is spoken.
        recipients: of the message.
        token: to log in with in place of the password; smtpkit's clients alone look at it.
        password: of the login; so too.
    """

    port: int
    tls: str = "clear"
    mechanism: str | None = None
    lmtp: bool = False
    recipients: tuple[str, ...] = (RECIPIENT,)
    token: str = ""
    password: str = PASSWORD

    @property
    def host(self) -> str:
        """The name to connect to."""
        return "127.0.0.1" if self.tls == "clear" else "localhost"

    @property
    def is_utf8(self) -> bool:
        """Whether SMTPUTF8 is needed."""
        return not "".join(self.recipients).isascii()


class Files(NamedTuple):
    """The message, as each program wants to read it.

    Attributes:
        crlf: as it shall arrive.
        lf: with the line ends of a Unix file.
        unended: so too, without the last of them.
    """

    crlf: Path
    lf: Path
    unended: Path


class Client(NamedTuple):
    """A program or library, and what it can do.

    Attributes:
        send: delivers the message; raises whatever its kind of client raises.
        tls: of "starttls", "implicit".
        mechanisms: of SASL.
        checks: "name" if it refuses a certificate for another host, "issuer" if it only refuses those whose
            issuer it does not trust, "" if it has no TLS.
        eight_bit: whether it declares BODY=8BITMIME.
        quits: whether it takes leave with QUIT.
        exact: False if it makes a message of its own of what it is given.
    """

    send: Callable[[Way, Files], None]
    tls: tuple[str, ...] = ("starttls", "implicit")
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN", "CRAM-MD5")
    checks: str = "name"
    eight_bit: bool = False
    exact: bool = True
    quits: bool = True


def by_smtplib(way: Way, files: Files) -> None:
    """The standard library's client; bytes are sent as they are."""
    context = ssl.create_default_context(cafile=str(CA))
    client: smtplib.SMTP
    if way.lmtp:
        client = smtplib.LMTP(way.host, way.port, CLIENT_NAME)
    elif way.tls == "implicit":
        client = smtplib.SMTP_SSL(way.host, way.port, CLIENT_NAME, timeout=PATIENCE, context=context)
    else:
        client = smtplib.SMTP(way.host, way.port, CLIENT_NAME, timeout=PATIENCE)
    with client:
        if way.tls == "starttls":
            client.starttls(context=context)
        client.ehlo_or_helo_if_needed()
        if way.mechanism is not None:
            client.user, client.password = USER, PASSWORD
            client.auth(way.mechanism, getattr(client, f"auth_{way.mechanism.lower().replace('-', '_')}"))
        options = ["BODY=8BITMIME"]
        if way.is_utf8:  # as its send_message() does
            client.command_encoding = "utf-8"
            options.append("SMTPUTF8")
        client.sendmail(SENDER, way.recipients, files.crlf.read_bytes(), options)


def by_aiosmtplib(way: Way, files: Files) -> None:
    """aiosmtplib; its login() would take the first mechanism that both know."""
    asyncio.run(asyncio.wait_for(_by_aiosmtplib(way, files), PATIENCE))


async def _by_aiosmtplib(way: Way, files: Files) -> None:
    import aiosmtplib

    client = aiosmtplib.SMTP(
        hostname=way.host,
        port=way.port,
        local_hostname=CLIENT_NAME,
        timeout=PATIENCE,
        use_tls=way.tls == "implicit",
        start_tls=way.tls == "starttls",
        tls_context=ssl.create_default_context(cafile=str(CA)),
    )
    async with client:
        if way.mechanism is not None:
            await client.ehlo()
            await getattr(client, f"auth_{way.mechanism.lower().replace('-', '')}")(USER, PASSWORD)
        await client.sendmail(SENDER, way.recipients, files.crlf.read_bytes(), mail_options=["BODY=8BITMIME"])


def by_curl(way: Way, files: Files) -> None:
    """curl; it uploads the octets of a file, and makes dots of theirs."""
    scheme = "smtps" if way.tls == "implicit" else "smtp"
    command = ["curl", "--silent", "--show-error", "--disable", "--noproxy", "*", "--max-time", PATIENCE]
    command += ["--url", f"{scheme}://{way.host}:{way.port}/{CLIENT_NAME}", "--upload-file", files.crlf]
    command += ["--mail-from", SENDER, "--cacert", CA]
    for recipient in way.recipients:
        command += ["--mail-rcpt", recipient]
    if way.tls == "starttls":
        command += ["--ssl-reqd"]
    if way.mechanism is not None:
        command += ["--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={way.mechanism}"]
    _check(command)


def by_swaks(way: Way, files: Files) -> None:
    """swaks, in lock-step; it makes CRLF and dots, and puts a CRLF of its own before the last dot."""
    _check(_swaks(way, files))


def by_swaks_pipelining(way: Way, files: Files) -> None:
    """swaks, with PIPELINING."""
    _check([*_swaks(way, files), "--pipeline"])


def _swaks(way: Way, files: Files) -> list[object]:
    command: list[object] = ["swaks", "--server", way.host, "--port", way.port, "--helo", CLIENT_NAME]
    command += [
        "--from",
        SENDER,
        "--to",
        ",".join(way.recipients),
        "--data",
        f"@{files.unended}",
        "--timeout",
        int(PATIENCE),
    ]
    command += ["--silent", "2"]
    if way.lmtp:
        command += ["--protocol", "LMTP"]
    if way.tls != "clear":
        command += ["--tls-verify", "--tls-ca-path", CA, "--tls-on-connect" if way.tls == "implicit" else "--tls"]
    if way.mechanism is not None:
        command += ["--auth", way.mechanism, "--auth-user", USER, "--auth-password", PASSWORD]
    return command


def by_msmtp(way: Way, files: Files) -> None:
    """msmtp; the message comes by its standard input, and has all the header fields that it would add."""
    settings = files.lf.with_name("msmtprc")
    lines = ["account default", f"host {way.host}", f"port {way.port}", f"from {SENDER}", f"domain {CLIENT_NAME}"]
    lines += [f"protocol {'lmtp' if way.lmtp else 'smtp'}", f"timeout {int(PATIENCE)}"]
    lines += [
        f"tls {'off' if way.tls == 'clear' else 'on'}",
        f"tls_starttls {'on' if way.tls == 'starttls' else 'off'}",
    ]
    lines += [f"tls_trust_file {CA}"]
    if way.mechanism is not None:
        lines += [f"auth {way.mechanism.lower()}", f"user {USER}", f'password "{PASSWORD}"']
    settings.write_text("\n".join(lines) + "\n")
    settings.chmod(0o600)  # it takes no other, since a password is in it
    _check(["msmtp", f"--file={settings}", "--account=default", "--", *way.recipients], stdin=files.lf)


def by_smtp_source(way: Way, files: Files) -> None:
    """Postfix's smtp-source; it makes CRLF and dots, and ends the last line whether or not it was ended."""
    (recipient,) = way.recipients
    command = ["smtp-source", "-f", SENDER, "-t", recipient, "-M", CLIENT_NAME, "-F", files.unended]
    _check([*command, *(["-L"] if way.lmtp else []), f"inet:127.0.0.1:{way.port}"])


def by_nodemailer(way: Way, files: Files) -> None:
    """nodemailer, which is given the whole message."""
    settings = {
        "host": way.host,
        "port": way.port,
        "tls": way.tls,
        "ca": str(CA),
        "lmtp": way.lmtp,
        "name": CLIENT_NAME,
        "mechanism": way.mechanism,
        "user": USER,
        "password": PASSWORD,
        "sender": SENDER,
        "recipients": way.recipients,
        "message": str(files.crlf),
    }
    _check(["node", node_folder() / "send.mjs", json.dumps(settings)])


def by_s_nail(way: Way, files: Files) -> None:
    """s-nail, which makes the header itself, and encodes the text as it likes."""
    body = files.lf.with_name("message.body")
    body.write_text(files.lf.read_text().partition("\n\n")[2])
    scheme = "smtps" if way.tls == "implicit" else "smtp"
    user = f"{USER}:{urllib.parse.quote(PASSWORD)}@" if way.mechanism else ""
    settings = [
        "v15-compat",
        f"mta={scheme}://{user}{way.host}:{way.port}",
        f"smtp-auth={(way.mechanism or 'none').lower()}",
        f"from={SENDER}",
        f"hostname={CLIENT_NAME}",
        f"tls-ca-file={CA}",
        "tls-ca-no-defaults",
        "tls-verify=strict",
        "sendwait",
        "noexpandaddr",
        "ttycharset=utf-8",
    ]
    settings += ["smtp-use-starttls"] if way.tls == "starttls" else []
    options = [word for setting in settings for word in ("-S", setting)]
    subject = "dots and letters"
    _check(["s-nail", "-:/", "-r", SENDER, *options, "-s", subject, *way.recipients], stdin=body, HOME=str(body.parent))


def by_git(way: Way, files: Files) -> None:
    """git send-email, which adds to the header."""
    encryption = {"clear": "none", "starttls": "tls", "implicit": "ssl"}[way.tls]
    command = ["git", "send-email", "--smtp-server", way.host, "--smtp-server-port", way.port]
    command += ["--smtp-encryption", encryption, "--smtp-ssl-cert-path", CA, "--smtp-domain", CLIENT_NAME]
    command += [
        "--from",
        f"Alice <{SENDER}>",
        "--no-thread",
        "--suppress-cc=all",
        "--confirm=never",
        "--quiet",
        "--no-validate",
    ]
    command += ["--transfer-encoding=8bit", *(f"--to={each}" for each in way.recipients)]
    if way.mechanism is not None:
        command += ["--smtp-user", USER, "--smtp-pass", PASSWORD, "--smtp-auth", way.mechanism]
    else:
        command += ["--smtp-auth", "none"]
    nowhere = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_DIR": "/nonexistent"}
    _check([*command, files.lf], HOME=str(files.lf.parent), **nowhere)


def _check(command: list[object], stdin: Path | None = None, **changes: str) -> None:
    if shutil.which(str(command[0])) is None:
        raise Failed(f"{command[0]} is not installed: .ci/interop does that")
    done = run(command, stdin, **changes)
    if done.returncode:
        raise Failed(f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")


CLIENTS = {
    "smtplib": Client(by_smtplib, eight_bit=True),
    "aiosmtplib": Client(by_aiosmtplib, eight_bit=True),
    "curl": Client(by_curl),
    "swaks": Client(by_swaks, checks="issuer"),
    "swaks --pipeline": Client(by_swaks_pipelining, checks="issuer"),
    "msmtp": Client(by_msmtp),
    "nodemailer": Client(by_nodemailer, eight_bit=True, quits=False),
    "s-nail": Client(by_s_nail, exact=False),
    "git send-email": Client(by_git, exact=False),
    "smtp-source": Client(by_smtp_source, (), (), checks=""),
}
