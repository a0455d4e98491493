"""Stores: where a server puts what it receives, by `begin(envelope, session)`, which gives a delivery to write to."""

from smtpkit.stores.eml_directory import EmlDirectory
from smtpkit.stores.exec import Exec
from smtpkit.stores.maildir import Maildir
from smtpkit.stores.mbox import Mbox
from smtpkit.stores.printing import Printing

__all__ = ["EmlDirectory", "Exec", "Maildir", "Mbox", "Printing"]
