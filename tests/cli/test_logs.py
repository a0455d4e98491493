"""Lines of the log: whatever is said in them, one is one."""

import json
import logging
from argparse import Namespace

import pytest

from smtpkit.cli import limiting, logs

HOSTILE = "a\x7f\x1b[31m\r\nb\u2028\u202e\udcff\0\\"


@pytest.fixture
def logged(capsys):
    """logged(format, text, **facts) -> what stands on standard error."""
    before = logging.getLogger().handlers[:]

    def log(form, text, **facts):
        logs.set_up(Namespace(log_format=form, log_level="info"))
        error = LookupError(text)
        logging.getLogger("smtpkit.test").info("%s", text, extra={"facts": facts}, exc_info=error)
        return capsys.readouterr().err

    yield log
    logging.getLogger().handlers[:] = before
    logging.getLogger("smtpkit").setLevel(logging.NOTSET)


def test_an_object_is_one_line_and_holds_the_text_exactly(logged):
    line = logged("json", HOSTILE, event="test", sender=HOSTILE)
    assert line.endswith("}\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    said = json.loads(line)
    assert said["message"] == said["sender"] == HOSTILE
    assert said["error"] == f"LookupError: {HOSTILE}"


def test_a_line_for_people_is_one_line_without_what_moves_a_cursor(logged):
    line = logged("text", HOSTILE)
    assert line.count("\n") == 1
    assert line[:-1].isprintable()


def test_each_of_several_workers_has_its_part_of_the_connections_rounded_up():
    given = {f"limit_{name}": None for name in limiting._OPTIONS}
    limits = limiting.limits(Namespace(**{**given, "limit_connections": 10}, workers=4))
    assert (limits.connections, limits.per_address) == (3, 125)
