"""How the station is reached, and how its pages are linked from elsewhere."""

from urllib.parse import quote, urlsplit

from linegate.sections import LOOPBACK
from linegate.settings import Settings


def hosts(settings: Settings) -> set[str]:
    """The names that people may call the station by, in lower case."""
    station = settings.station
    named = [urlsplit(station.address).hostname] if station.address else []
    return {name.lower() for name in (*LOOPBACK, station.listen_at[0], *station.hosts, *named) if name}


def board_page(address: str, inspection_id: str) -> str:
    """The link to all that is known of one product."""
    return f"{address.rstrip('/')}/boards/{quote(inspection_id)}"
