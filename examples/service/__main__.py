"""`python -m examples.service`: start the reference service."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from examples.service.accounts import Accounts
from examples.service.development import load_settings
from socialflow_core.config import ConfigError, report

if TYPE_CHECKING:
    from socialflow_core.config import Caution


def main() -> int:
    """Validate the environment, then serve until SIGTERM or SIGINT."""
    arguments = _parser().parse_args()
    try:
        settings, generated = load_settings(os.environ)
    except ConfigError as error:
        _tell(str(error), _listed(error.warnings))
        return 1
    _tell(_listed(settings.warnings))
    if generated:
        _tell(f"Generated for this run, outside of production only: {', '.join(generated)}")
    accounts = Accounts()
    if settings.service.app_env != "production":
        _tell(f"Log in as {accounts.email} with the password {accounts.password}")
    if arguments.server == "asgi":
        from examples.service.asgi import serve  # noqa: PLC0415 -- the other need not be installed
    else:
        from examples.service.wsgi import serve  # noqa: PLC0415 -- as above
    # Uvicorn stops cleanly, and then raises the signal again for whoever started it.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _leave)
    port = arguments.port or settings.service.backend_port
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    print(f"{arguments.server}: http://{host}:{port}", flush=True)
    serve(settings, accounts, arguments.host, port)
    return 0


def _tell(*texts: str) -> None:
    """Speak to the operator; stdout is for the address alone."""
    for text in filter(None, texts):
        print(text, file=sys.stderr)


def _listed(warnings: tuple[Caution, ...]) -> str:
    return report("Environment warnings:", warnings) if warnings else ""


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:  # noqa: PLR2004 -- ports
        raise argparse.ArgumentTypeError("must be a port from 1 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.service", description=__doc__)
    parser.add_argument("--server", choices=("asgi", "wsgi"), default="asgi")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, help="default: BACKEND_PORT, which is 3001")
    return parser


if __name__ == "__main__":
    sys.exit(main())
