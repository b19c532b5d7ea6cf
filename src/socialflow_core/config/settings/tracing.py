"""Spans, and where they go."""

from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from socialflow_core._kit.secrets import Secret
from socialflow_core.config._interface import AppEnv

from ._fields import BOOL, FRACTION, HEADERS, SECRET, TEXT, URL, choice, variable
from ._group import Group
from ._rules import Findings, refuse, warn

__all__ = ["JaegerProtocol", "SpanExporter", "SpanProcessor", "Tracing"]

SpanExporter: TypeAlias = Literal["jaeger", "honeycomb", "otlp", "none"]
JaegerProtocol: TypeAlias = Literal["auto", "thrift", "otlp"]
SpanProcessor: TypeAlias = Literal["auto", "batch", "simple"]

_GRPC_PORTS = {4317, 14250}


def _honeycomb_has_its_key(
    otel_exporter: SpanExporter, honeycomb_api_key: Secret | None
) -> Findings:
    if otel_exporter == "honeycomb" and honeycomb_api_key is None:
        yield warn("honeycomb_api_key", "{honeycomb_api_key} is not set")


def _jaeger_is_spoken_to_by_http(
    otel_exporter: SpanExporter, jaeger_endpoint: str, jaeger_protocol: JaegerProtocol
) -> Findings:
    # Whoever names the protocol knows what listens there.
    guessed = otel_exporter == "jaeger" and jaeger_protocol == "auto"
    if guessed and urlsplit(jaeger_endpoint).port in _GRPC_PORTS:
        yield refuse("jaeger_endpoint", "must have a port for HTTP (14268 or 4318), not for gRPC")


def _production_is_not_debugged(app_env: AppEnv, otel_debug: bool) -> Findings:  # noqa: FBT001 -- named by the field
    if otel_debug and app_env == "production":
        yield warn("otel_debug", "{otel_debug} is on in production: every span is sent by itself")


class Tracing(Group):
    """Spans and their exporter."""

    rules = (*(_honeycomb_has_its_key, _jaeger_is_spoken_to_by_http, _production_is_not_debugged),)

    otel_service_name: Annotated[str, TEXT] = variable("The name in traces.", "socialflow-backend")
    otel_exporter: Annotated[SpanExporter, choice(SpanExporter)] = variable(
        "Where spans are sent.", "jaeger"
    )
    jaeger_endpoint: Annotated[str, URL] = variable(
        "The collector of Jaeger.", "http://localhost:14268/api/traces"
    )
    jaeger_protocol: Annotated[JaegerProtocol, choice(JaegerProtocol)] = variable(
        "What it is spoken to in; auto goes by the URL.", "auto"
    )
    honeycomb_api_key: Annotated[Secret | None, SECRET] = variable(
        "The account at Honeycomb; without it a warning.", needed="with OTEL_EXPORTER=honeycomb"
    )
    honeycomb_dataset: Annotated[str, TEXT] = variable("Its dataset.", "socialflow")
    otel_exporter_otlp_endpoint: Annotated[str, URL] = variable(
        "Any collector that speaks OTLP: the base of its URL, or all of it.",
        "http://localhost:4318/v1/traces",
    )
    otel_exporter_otlp_headers: Annotated[tuple[tuple[str, Secret], ...] | None, HEADERS] = (
        variable("Sent to it, with OTEL_EXPORTER=otlp only.")
    )
    otel_debug: Annotated[bool, BOOL] = variable(
        "Show what the exporter does; in production a warning.", "false"
    )
    otel_span_processor: Annotated[SpanProcessor, choice(SpanProcessor)] = variable(
        "Send spans together or one by one; auto is simple with OTEL_DEBUG, else batch.", "auto"
    )
    otel_traces_sampler_arg: Annotated[float, FRACTION] = variable(
        "The share of traces that is kept.", "1"
    )
