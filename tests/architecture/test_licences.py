"""What users install with us may be used as freely as we are."""

from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Permissive ones, as SPDX and as the classifiers and free texts of older packages.
ALLOWED = (
    *(
        "apache-2.0",
        "bsd-2-clause",
        "bsd-3-clause",
        "isc",
        "mit",
        "mit-0",
        "mpl-2.0",
        "psf-2.0",
        "unlicense",
    ),
    *(
        "apache software license",
        "bsd license",
        "bsd",
        "isc license",
        "mit license",
        "the unlicense",
    ),
    *("mozilla public license 2.0 (mpl 2.0)", "python software foundation license"),
)


def installed_with(wanted: str) -> dict[str, Distribution]:
    """What pip installs for *wanted* here."""
    found: dict[str, Distribution] = {}
    seen: set[str] = set()
    waiting = [Requirement(wanted)]
    while waiting:
        next_one = waiting.pop()
        if str(next_one) in seen:
            continue
        seen.add(str(next_one))
        package = found[canonicalize_name(next_one.name)] = distribution(next_one.name)
        needed = map(Requirement, package.requires or ())
        waiting.extend(each for each in needed if _applies(each, next_one.extras))
    return found


def _applies(needed: Requirement, extras: set[str]) -> bool:
    marker = needed.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def licences(found: Distribution) -> set[str]:
    """What the package says of itself, in lower case."""
    metadata = found.metadata
    if "License-Expression" in metadata:
        return set(metadata["License-Expression"].lower().replace(" and ", " or ").split(" or "))
    classifiers = metadata.get_all("Classifier") or []
    marked = {line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")}
    return {text.lower() for text in marked - {"OSI Approved"}} or {
        metadata["License"].lower() if "License" in metadata else "none"
    }


def test_nothing_that_we_bring_binds_its_users() -> None:
    """Everything that `socialflow-core[all]` installs is under a permissive licence."""
    brought = installed_with("socialflow-core[all]")
    assert {"socialflow-core", "pydantic", "limits"} <= set(brought)
    unknown = {name: licences(found) - set(ALLOWED) for name, found in brought.items()}
    assert {name: said for name, said in unknown.items() if said} == {}
