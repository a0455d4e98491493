"""The programs in README.md do what it says."""

import re
import socket
import threading
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def defined(name: str) -> object:
    for block in blocks("python"):
        if f"def {name}(" in block:
            namespace: dict[str, object] = {}
            exec(block, namespace)
            return namespace[name]
    raise AssertionError(f"README.md defines no {name}()")


def test_the_two_connections_of_the_readme_deliver_to_each_other():
    near, far = socket.socketpair()
    received: list[bytes] = []
    server = threading.Thread(target=lambda: received.append(defined("receive")(far)))
    content = b"Subject: greetings\r\n\r\n.\r\n.. dots \xe2\x80\xa6\r\n"
    with near, far:
        server.start()
        defined("deliver")(near, "a@b.example", "c@d.example", content)
        server.join(60)
    assert received == [content]


@pytest.mark.parametrize("block", blocks("python"))
def test_every_program_of_the_readme_compiles(block):
    compile(block, "README.md", "exec")


def test_the_first_line_about_tests_is_one_command():
    line = next(line for line in README.read_text().splitlines() if "pytest" in line)
    assert line.startswith("python3 -m venv .venv && ")
    assert line.endswith("-m pytest --quiet")
