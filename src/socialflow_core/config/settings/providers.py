"""Translation and speech."""

from typing import Annotated

from socialflow_core._kit.secrets import Secret

from ._fields import SECRET, URL, variable
from ._group import Group

__all__ = ["Providers"]


class Providers(Group):
    """Translation and speech; the first of each pair is preferred."""

    deepl_api_key: Annotated[Secret | None, SECRET] = variable("Translation by DeepL; preferred.")
    google_translate_api_key: Annotated[Secret | None, SECRET] = variable("Translation by Google.")
    elevenlabs_api_key: Annotated[Secret | None, SECRET] = variable(
        "Speech by ElevenLabs; preferred."
    )
    google_tts_api_key: Annotated[Secret | None, SECRET] = variable("Speech by Google.")
    deepl_url: Annotated[str | None, URL] = variable(
        "Another address than DeepL's own: a region, a proxy, a test server."
    )
    google_translate_url: Annotated[str | None, URL] = variable(
        "The same for Google's translation."
    )
    elevenlabs_url: Annotated[str | None, URL] = variable("The same for ElevenLabs.")
    google_tts_url: Annotated[str | None, URL] = variable("The same for Google's speech.")
