"""The adapters to copy or import, and a service that is built with them."""
