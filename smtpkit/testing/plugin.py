"""The pytest plugin: the fixture `smtp_server`, and a marker of that name for its options."""

import pytest

__all__ = ["pytest_configure", "smtp_server"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from smtpkit.testing import Server

_MARKER = "smtp_server(tls=..., login=..., ...): the options of the fixture smtp_server, as of smtpkit.testing.Server"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def smtp_server(request: pytest.FixtureRequest) -> "Iterator[Server]":
    """A mail server of this test's own: see smtpkit.testing.Server, whose options the marker smtp_server takes.

    The marker nearest to the test wins, option by option: a module's may say tls=, a test's add login=.
    """
    from smtpkit.testing import Server

    options: dict[str, object] = {}
    for marker in request.node.iter_markers("smtp_server"):  # the nearest comes first
        if marker.args:
            raise pytest.UsageError(f"the marker smtp_server takes options by name, not {marker.args!r}")
        options = {**marker.kwargs, **options}
    with Server(**options) as server:  # type: ignore[arg-type]
        yield server
