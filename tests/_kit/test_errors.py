"""What every error of the library promises."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core._kit.errors import (
    CoreError,
    MissingExtraError,
    UnavailableError,
    requires_extra,
    translating,
)


@given(service=st.text(), sent=st.none() | st.booleans())
def test_an_error_survives_pickling_with_its_data(service: str, *, sent: bool | None) -> None:
    """What crosses a process pool still carries text, class and every attribute."""
    error = UnavailableError(service, sent=sent)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is UnavailableError
    assert (str(copy), copy.service, copy.sent) == (str(error), service, sent)


def test_translating_keeps_the_vendor_error_as_cause() -> None:
    """The vendor's error is not lost: it stands behind ours."""
    with (
        pytest.raises(UnavailableError, match="the disk is unavailable") as caught,
        translating(OSError, lambda _: UnavailableError("the disk", sent=True)),
    ):
        raise FileNotFoundError("gone")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert caught.value.sent is True


def test_translating_leaves_other_errors_alone() -> None:
    """Only the vendor's own errors are translated."""
    with pytest.raises(KeyError), translating(OSError, lambda _: UnavailableError("x")):
        raise KeyError("k")


def test_translating_leaves_our_own_errors_alone() -> None:
    """An error that is already ours passes, even if it is a vendor's class too."""
    with (
        pytest.raises(MissingExtraError),
        translating(ImportError, lambda _: UnavailableError("x")),
    ):
        raise MissingExtraError("redis")


def test_a_missing_package_names_the_extra_to_install() -> None:
    """The message is the command that cures it, and it is an ImportError too."""
    command = r'pip install "socialflow-core\[redis\]"'
    with pytest.raises(MissingExtraError, match=command) as caught, requires_extra("redis"):
        raise ModuleNotFoundError(name="redis")
    assert caught.value.extra == pickle.loads(pickle.dumps(caught.value)).extra == "redis"
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(MissingExtraError, CoreError)
