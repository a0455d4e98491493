"""Node's smtp-server, which stores every message in a file; see node/server.mjs."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from mail_servers import DOMAINS, MAILBOXES, MailServer
from processes import Failed, background, eventually
from servers import CERTIFICATES, PASSWORD, USER

__all__ = ["NODE_TOKEN", "node_folder", "smtp_server"]

NODE_TOKEN = "a.bearer.token"
_SIZE = 64 * 1024 * 1024


def node_folder() -> Path:
    """Where .ci/interop has put what comes from npm, with the programs of node/ beside it."""
    folder = Path(os.environ.get("SMTPKIT_INTEROP_NODE", ""))
    if not (folder / "node_modules").is_dir():
        raise Failed("the packages of npm are missing: .ci/interop brings them")
    return folder


@contextlib.contextmanager
def smtp_server(scratch: Path) -> Iterator[tuple[MailServer, MailServer]]:
    """All ways in of node/server.mjs: those of SMTP, and LMTP."""
    folder, mail, log = node_folder(), scratch / "node-mail", scratch / "node.log"
    mail.mkdir()
    settings = {
        "certificate": str(CERTIFICATES / "server.pem"),
        "mail": str(mail),
        "user": USER,
        "password": PASSWORD,
        "token": NODE_TOKEN,
        "mailboxes": MAILBOXES,
        "domains": DOMAINS,
        "size": _SIZE,
    }
    output = scratch / "node.output"
    with (
        output.open("w") as sink,
        background(["node", folder / "server.mjs", json.dumps(settings)], log=log, stdout=sink),
    ):
        ports = _ports(output, log)
        version = json.loads((folder / "node_modules/smtp-server/package.json").read_text())["version"]
        lmtp = {"clear": ports.pop("lmtp")}
        name = f"smtp-server {version}"

        def said() -> str:
            return log.read_text() + output.read_text()

        yield (
            MailServer(name, ports, mail, (), said, crlf=True),
            MailServer(f"{name} LMTP", lmtp, mail, (), said, crlf=True, lmtp=True),
        )


def _ports(output: Path, log: Path) -> dict[str, int]:
    if not eventually(lambda: "\n" in output.read_text()):
        raise Failed(f"smtp-server: {log.read_text()}")
    ports: dict[str, int] = json.loads(output.read_text().partition("\n")[0])
    return ports
