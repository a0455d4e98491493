"""The order of system calls for one message, as strace sees it: write, fsync, rename, fsync of the directory, 250."""

import re
import smtplib
import time
from pathlib import Path

from served import running

__all__ = ["EXPECTED", "trace"]

# What must be seen of one message, in this order, from the first write of its content to the reply.
EXPECTED = {
    "maildir": ["write content", "fsync content", "rename tmp to new", "fsync directory", "send 250"],
    "eml": [
        *("write content", "fsync content", "write envelope", "fsync envelope"),
        *("rename content", "fsync directory", "rename envelope", "fsync directory", "send 250"),
    ],
    "mbox": ["write mailbox", "fsync mailbox", "send 250"],
}
_CALLS = "write,fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg"
_PATIENCE = 60  # seconds
_MESSAGE = b"Subject: traced\r\n\r\nhello\r\n"


def trace(store: str, scratch: Path) -> tuple[list[str], list[str]]:
    """Deliver one message under strace.

    Returns:
        The steps that were seen, by the names in EXPECTED, and the lines of strace that they stand for.
    """
    log = scratch / "strace.log"
    strace = ["strace", "-f", "-y", "-s", "60", "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(log)]
    with (
        running(store, scratch, before=strace) as (_, port),
        smtplib.SMTP("127.0.0.1", port, "client.example", timeout=60) as smtp,
    ):
        smtp.sendmail("a@a.example", ["b@b.example"], _MESSAGE)
        until = time.monotonic() + _PATIENCE
        while True:  # strace writes a little later
            steps, lines = _steps(store, scratch, log.read_text(errors="replace"))
            if steps[-1:] == ["send 250"] or time.monotonic() > until:
                break
            time.sleep(0.1)
    return steps, lines


def _steps(store: str, scratch: Path, log: str) -> tuple[list[str], list[str]]:
    steps: list[str] = []
    lines: list[str] = []
    for line in _whole_lines(log):
        step = _step(store, line, str(scratch / "mail"))
        is_begun = steps or (step is not None and step.startswith("write"))
        if step is not None and is_begun and steps[-1:] != [step]:
            steps.append(step)
            lines.append(line.replace(str(scratch), ""))
    return steps, lines


def _whole_lines(log: str) -> list[str]:
    # A call that another thread interrupts has two lines; it is done at the second.
    begun: dict[str, str] = {}
    whole = []
    for line in log.splitlines():
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[pid] = call.removesuffix("<unfinished ...>").rstrip()
        elif (resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call)) is not None:
            whole.append(begun.pop(pid, "") + resumed[1])
        else:
            whole.append(call)
    return whole


def _step(store: str, line: str, mail: str) -> str | None:
    if re.match(r'send(to|msg)\(.*"250 2\.0\.0 ', line):
        return "send 250"
    if mail not in line or f"{mail}.lock" in line or not re.search(r"= \d+", line):
        return None
    call = line.partition("(")[0]
    if call.startswith("rename"):
        return {"maildir": "rename tmp to new"}.get(store) or f"rename {_part(line)}"
    if re.search(rf"<{re.escape(mail)}(/new)?>\)", line) and store != "mbox":
        return f"{call} directory"
    return f"{call} {'mailbox' if store == 'mbox' else _part(line)}"


def _part(line: str) -> str:
    return "envelope" if ".json" in line else "content"
