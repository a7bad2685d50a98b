"""Addresses of the station's pages and pictures, as notifications and pages carry them."""

from urllib.parse import quote


def board_page(address: str, inspection_id: str) -> str:
    """The page with all that is known of one product; `address` is how the station is reached, "" for a link within it."""
    return f"{address.rstrip('/')}/boards/{quote(inspection_id, safe='')}"


def annotated_picture(address: str, inspection_id: str, revision: int) -> str:
    """The annotated picture of one revision."""
    return f"{address.rstrip('/')}/pictures/{quote(inspection_id, safe='')}/annotated?revision={revision}"
