"""The documentation as a reader meets it: in Chromium, with its scripts, without a network."""

from __future__ import annotations

import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

BUILT = Path(__file__).parents[2] / "docs" / "_build" / "html"
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-quic"]


@pytest.fixture
def chromium() -> str:
    """Chromium's program."""
    found = next(
        filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
    )
    if found is None:
        pytest.fail("nox -s browser needs Chromium on the PATH")
    return found


@pytest.fixture
def site() -> Iterator[str]:
    """The built documentation, served on this machine."""
    handler = partial(SimpleHTTPRequestHandler, directory=BUILT)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def seen(chromium: str, profile: Path, url: str) -> str:
    """The page at *url* after its scripts have run."""
    done = subprocess.run(
        [
            *(chromium, *QUIET, *OFFLINE, f"--user-data-dir={profile}"),
            # Nothing but this machine can be reached, here and on a reader's laptop alike.
            *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom"),
            *("--virtual-time-budget=10000", url),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_the_search_finds_a_name(chromium: str, tmp_path: Path, site: str) -> None:
    """Typing a name of the library into the search leads to its reference, offline."""
    found = '<a href="reference/ratelimit.html#socialflow_core.ratelimit.RateLimiter" data-score='
    assert found in seen(chromium, tmp_path, f"{site}/search.html?q=RateLimiter")
    assert found not in seen(chromium, tmp_path, f"{site}/search.html?q=nothing-of-the-kind")
