"""For the tests of whoever uses the blocks, or writes an adapter of their own."""

__all__: list[str] = []
