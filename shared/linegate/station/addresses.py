"""How the station is reached. How its pages are linked from elsewhere stands in `linegate.links`."""

from urllib.parse import urlsplit

from linegate.settings import Settings
from linegate.station_section import LOOPBACK


def hosts(settings: Settings) -> set[str]:
    """The names that people may call the station by, in lower case."""
    station = settings.station
    named = [urlsplit(station.address).hostname] if station.address else []
    return {name.lower() for name in (*LOOPBACK, station.listen_at[0], *station.hosts, *named) if name}
