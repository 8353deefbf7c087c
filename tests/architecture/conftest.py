from collections.abc import Iterator

import pytest
import source_tree


@pytest.fixture(scope="package", autouse=True)
def _forget_the_trees() -> Iterator[None]:
    """A million nodes that the garbage collector would look through again and again in all tests that follow."""
    yield
    source_tree.modules.cache_clear()
    source_tree.imports.cache_clear()
