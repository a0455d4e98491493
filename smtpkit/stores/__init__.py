"""Stores: where a server puts what it receives, by `begin(envelope, session)`, which gives a delivery to write to."""

from smtpkit.stores.maildir import Maildir
from smtpkit.stores.printing import Printing

__all__ = ["Maildir", "Printing"]
