"""Stripe."""

from collections.abc import Set as AbstractSet
from typing import Annotated

from socialflow_core._kit.secrets import Secret

from ._fields import SECRET, SECRETS, variable
from ._group import Group
from ._rules import Findings, refuse, warn

__all__ = ["Billing"]


def _webhooks_need_both(given: AbstractSet[str]) -> Findings:
    if "stripe_webhook_secret" in given and "stripe_secret_key" not in given:
        yield refuse("stripe_secret_key", "required with {stripe_webhook_secret}, missing")
    if "stripe_secret_key" in given and "stripe_webhook_secret" not in given:
        yield warn(
            "stripe_webhook_secret",
            "{stripe_webhook_secret} is not set: no webhook of Stripe can be verified",
        )


class Billing(Group):
    """Stripe."""

    rules = (_webhooks_need_both,)

    stripe_secret_key: Annotated[Secret | None, SECRET] = variable(
        "The account.", needed="with STRIPE_WEBHOOK_SECRET"
    )
    stripe_webhook_secret: Annotated[tuple[Secret, ...] | None, SECRETS] = variable(
        "What its webhooks are signed with; a list while it is being rolled."
    )
