"""The registry of codes: complete, consistent, and loaded only when asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import smtpkit
from smtpkit.wire.status import EnhancedStatus
from smtpkit.wire.status_registry import StatusMeaning, describe, describe_code, registered_statuses

# RFC 3463 and the later registrations: the highest detail of each subject, without a gap.
HIGHEST = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
RFC_5321_CODES = [211, 214, 220, 221, 250, 251, 252, 354, 421, 450, 451, 452, 455, 500, 501, 502, 503, 504,
                  550, 551, 552, 553, 554, 555]  # fmt: skip
EXTENSION_CODES = [235, 334, 432, 454, 521, 530, 534, 535, 538, 556]


def test_every_registered_code_is_described():
    expected = {(subject, detail) for subject, highest in HIGHEST.items() for detail in range(highest + 1)}
    assert set(registered_statuses()) == expected
    for subject, detail in expected:
        meaning = describe(EnhancedStatus(5, subject, detail))
        assert isinstance(meaning, StatusMeaning)
        assert meaning.meaning
        assert meaning.source
        assert all(describe_code(code) or code in (422, 430) for code in meaning.basic_codes)


def test_the_class_does_not_change_the_meaning():
    assert describe(EnhancedStatus.parse("4.1.1")) == describe(EnhancedStatus.parse("5.1.1"))


def test_an_unregistered_code_has_no_description():
    assert describe(EnhancedStatus.parse("5.7.509")) is None
    assert describe_code(571) is None


@pytest.mark.parametrize("code", RFC_5321_CODES + EXTENSION_CODES)
def test_every_reply_code_of_the_standards_is_described(code):
    meaning = describe_code(code)
    assert meaning.meaning
    assert meaning.source
    assert meaning.basic_codes == ()
    assert bool(meaning.remedy) == (code >= 400 or code == 251)


def test_a_known_code():
    meaning = describe(EnhancedStatus.parse("5.1.1"))
    assert meaning.basic_codes == (451, 550)
    assert meaning.source == "RFC 3463"
    assert "mailbox" in meaning.meaning
    assert meaning.remedy


def test_replies_and_codes_are_read_without_loading_it():
    script = "import sys, smtpkit.wire.replies; sys.exit('smtpkit.wire.status_registry' in sys.modules)"
    root = Path(smtpkit.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
