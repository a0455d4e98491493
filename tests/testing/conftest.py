"""The fixture as users have it, whether smtpkit is installed here or not."""

from smtpkit.testing.plugin import smtp_server

__all__ = ["smtp_server"]
