# /// script
# dependencies = ["nox", "uv"]
# ///
"""Every gate, each a session that does all of its own set-up.

`nox -s tests` runs the tests and then every other gate; CONTRIBUTING.md tells what each
one holds. Only nox has to be installed: by the block above it fetches uv for itself.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
SUITE = ("tests", "architecture", "servers", "valkey", "examples")
OTHER_GATES = ("lint", "types", "docs", "wheel", "lowest")

# What decides is covered whole. The top floor has `_*` modules too, which are not blocks'.
WHOLE = "--include=*/socialflow_core/**/_*.py,*/socialflow_core/_kit/**,*/socialflow_core/config/**"
TOP = "--omit=*/socialflow_core/cli/**,*/socialflow_core/wiring/**,*/socialflow_core/testing/**"

# What works with one extra and nothing else installed ("" is none).
CONTRACTS = "tests/architecture/test_contract_suites.py"
ASK_LIMITS = (
    "--ignore=tests/_kit/test_grammar.py",  # compares itself with the package
    "--ignore=tests/ratelimit/test_contract.py",  # its adapter is one of them
    "--ignore=tests/ratelimit/test_limits.py",
)
_OF_REDIS = ("certainty", "cluster", "contract", "hardships", "interrupted", "local")
ASK_REDIS = (
    "--ignore-glob=tests/ratelimit/test_redis*.py",
    "--ignore=tests/ratelimit/test_script.py",
    *(f"--ignore=tests/cache/test_{part}.py" for part in _OF_REDIS),
    *(f"--ignore=tests/locks/test_{part}.py" for part in ("contract", "processes", "redis")),
)
ASK_MSGSPEC = ("--ignore=tests/cache/test_msgspec.py", "--ignore=tests/cache/test_redis.py")
TOKENS = ("claims", "compact", "keys", "revocation", "rotation", "sessions", "sessions_failures")
PLAIN_AUTH = tuple(f"tests/auth/test_{part}.py" for part in TOKENS)
SHARED_AUTH = (
    *("tests/auth/test_replica.py", "tests/auth/test_replica_hardships.py"),
    "tests/auth/test_revocation_contract.py",
    *("tests/auth/test_revocation_redis.py", "tests/auth/test_sessions_contract.py"),
    *("tests/auth/test_sessions_model.py", "tests/auth/test_sessions_redis.py"),
)
JWT = ("attacks", "contract", "keys", "leaks", "oracle", "rotation", "verifier")
MEMORY = ("tests/_kit", "tests/fallback", "tests/ratelimit", "tests/cache", "tests/locks")
ALONE = {
    "": (*MEMORY, *PLAIN_AUTH, *ASK_LIMITS, *ASK_REDIS, *ASK_MSGSPEC),
    "auth": (*PLAIN_AUTH, *(f"tests/auth/test_jwt_{part}.py" for part in JWT)),
    "cache": ("tests/cache/test_msgspec.py", "tests/cache/test_memory.py"),
    "config": ("tests/config",),
    "limits": ("tests/_kit", "tests/ratelimit", *ASK_REDIS),
    "redis": (
        *("tests/redislink", "tests/ratelimit", "tests/cache", "tests/locks"),
        *(*SHARED_AUTH, *ASK_LIMITS, *ASK_MSGSPEC),
    ),
    "testing": (CONTRACTS,),
    "servers": (
        *("tests/testing/test_faults.py", "tests/testing/test_poll.py"),
        *("tests/testing/test_process.py", "tests/testing/test_proxy.py"),
    ),
}


def groups(*names: str) -> tuple[str, ...]:
    """The dependencies of these groups of pyproject.toml."""
    return nox.project.dependency_groups(PYPROJECT, *names)


@nox.session
def demo(session: nox.Session) -> None:
    """Start the reference service, show its settings, and check it from outside."""
    session.install("-e", ".[all]", *groups("examples"))
    session.run("python", "-m", "examples.demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, measure what they cover, then pass on to every other gate."""
    if not session.posargs:
        for gate in (*OTHER_GATES, *(f"alone({extra or 'none'})" for extra in ALONE)):
            session.notify(gate)
    session.install("-e", ".[all,testing]", *groups(*SUITE))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "auto", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    if session.posargs:
        session.run("coverage", "report", "--fail-under=0")
        return
    session.run("coverage", "report")
    session.run("coverage", "report", "--fail-under=100", WHOLE, TOP)


@nox.session
def config(session: nox.Session) -> None:
    """Run the tests of `config` alone: they cover every statement and branch of it."""
    session.install("-e", ".[config,testing]", *groups("tests", "servers"))
    session.env["COVERAGE_FILE"] = str(Path(session.virtualenv.location, "coverage"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "auto", "tests/config", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--fail-under=100", "--include=*/socialflow_core/config/**")


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, freeze, slow and fill what the blocks stand on, in every combination."""
    session.install("-e", ".[all,testing]", *groups("tests", "servers", "valkey", "examples"))
    session.run("pytest", "-m", "not browser", *(session.posargs or ["tests/faults"]))


@nox.session
def browser(session: nox.Session) -> None:
    """Look at what people see, in the Chromium that is on the PATH."""
    session.install("-e", ".[all,testing]", *groups("tests", "docs"))
    build_docs(session)
    session.run("pytest", "-m", "browser", *(session.posargs or ["tests/browser"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside the named peers; `-- NAME... --OPTION...` chooses benchmarks/NAME.py."""
    session.install("-e", ".[all]", *groups("bench"))
    options = [each for each in session.posargs if each.startswith("-")]
    named = [each for each in session.posargs if each not in options]
    for name in named or sorted(path.stem for path in Path("benchmarks").glob("[!_]*.py")):
        session.run("python", "-m", f"benchmarks.{name}", *options)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the style, and who may import whom."""
    session.install("-e", ".", *groups("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check every type: of the package, the tests, the examples and the scripts."""
    session.install("-e", ".[all,testing]", *groups(*SUITE, "types", "docs", "bench"))
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation offline without a warning, and run every example in it."""
    session.install("-e", ".[all,testing]", *groups(*SUITE, "docs"))
    build_docs(session)
    session.run("pytest", "README.md", "docs", "src")


def build_docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html."""
    session.run("sphinx-build", "-E", "-W", "-n", "--keep-going", "-q", "docs", "docs/_build/html")


@nox.session
def wheel(session: nox.Session) -> None:
    """Run the suite of the sdist against the wheel, where no source is."""
    session.install(*groups(*SUITE, "wheel"))
    folder = Path(session.virtualenv.location, "shipped").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(folder))
    (sdist,), (built,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(built))
    session.run("python", "-m", "zipfile", "--list", str(built))
    session.install(f"{built}[all,testing]")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    tree = folder / sdist.name.removesuffix(".tar.gz")
    shutil.rmtree(tree / "src")
    session.chdir(tree)
    session.run("python", "-c", IS_INSTALLED)
    session.run("pytest", "-n", "auto", *session.posargs)


IS_INSTALLED = """
import sysconfig, socialflow_core
assert socialflow_core.__file__.startswith(sysconfig.get_path("purelib")), socialflow_core.__file__
"""


@nox.session
@nox.parametrize("extra", [nox.param(extra, id=extra or "none") for extra in ALONE])
def alone(session: nox.Session, extra: str) -> None:
    """Install one extra by itself: its block imports, and its own tests pass."""
    servers = ("servers", "valkey") if extra == "redis" else ("servers",)
    session.install("-e", f".[{extra}]" if extra else ".", *groups("tests", *servers))
    session.run("python", "-c", IS_ALONE, *(packages() - packages(extra)))
    session.run("pytest", *ALONE[extra], *session.posargs)


IS_ALONE = """
import sys
from importlib.metadata import distributions
assert {each.name for each in distributions()}.isdisjoint(sys.argv[1:]), sys.argv[1:]
"""


def packages(*extras: str) -> set[str]:
    """The names of what the adapters of some *extras*, or of all, need."""
    offered = PYPROJECT["project"]["optional-dependencies"]
    wanted = extras or set(offered) - {"all", "testing", "servers"}
    needed = [each for extra in wanted for each in offered.get(extra, ())]
    return {re.split(r"[^\w.-]", each)[0] for each in needed}


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the suite with the oldest versions of what the extras need."""
    session.install("--resolution", "lowest-direct", "-e", ".[all,testing]")
    session.install(*groups(*SUITE))
    session.run("pytest", "-n", "auto", *session.posargs)
