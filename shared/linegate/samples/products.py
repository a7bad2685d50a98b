"""The drawn products beside the bare board, as `demo --product` and `init --product` name them."""

from collections.abc import Mapping
from typing import Final

from linegate.errors import UsageError
from linegate.samples import assembled, blister, bottle, surface
from linegate.samples.product import Product

PRODUCTS: Final[Mapping[str, Product]] = {
    one.name: one for one in (assembled.PRODUCT, blister.PRODUCT, bottle.PRODUCT, surface.PRODUCT)
}


def product(name: str) -> Product:
    """The one of this name. Raises UsageError, which lists those that there are."""
    if name not in PRODUCTS:
        known = "\n".join(f"  {one.name:10} {one.title}" for one in PRODUCTS.values())
        raise UsageError(f"there is no product {name!r}; there is\n{known}")
    return PRODUCTS[name]
