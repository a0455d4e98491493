"""SMTP and LMTP for Python: the protocol core of both roles, without I/O."""

__version__ = "0.1.0"
