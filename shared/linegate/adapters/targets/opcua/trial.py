"""What `linegate doctor` does: look whether somebody is there, and change nothing."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from asyncua import Client, ua

from linegate.adapters.targets.opcua import trust
from linegate.adapters.targets.opcua.client import Plc, Tags, opened, why_not
from linegate.adapters.targets.opcua.server import Endpoint
from linegate.errors import LinegateError, TransientError

T = TypeVar("T")


def try_server(endpoint: Endpoint, seconds: float) -> str:
    """Whether the gate's own server answers, and whom it lets in. Raises LinegateError."""
    trust.quiet()
    said = ""
    if endpoint.certificates is not None:
        endpoint.certificates.ensure(endpoint.host)
        said = (
            f"; trusts {len(endpoint.certificates.trusted())} clients of {endpoint.certificates.folder / trust.TRUSTED}"
        )
    here = endpoint.here
    try:
        offered = _wait(Client(here, timeout=seconds).connect_and_get_server_endpoints(), seconds)
    except (OSError, TimeoutError):
        return f"nobody listens at {here}: `linegate edge` does, while it runs{said}"
    except ua.UaError as error:
        raise TransientError(f"what listens at {here} answered {why_not(error)}") from error
    name = next((each.Server.ApplicationName.Text for each in offered if each.Server.ApplicationName), "")
    if name != "Linegate":
        raise TransientError(f"at {here} listens {name or 'somebody else'}; give the target another port")
    return f"listens at {here} ({endpoint.security}){said}"


def try_plc(plc: Plc, seconds: float) -> str:
    """Connect, and see that all variables are there and have types that fit. Nothing is written. Raises LinegateError."""

    async def look() -> str:
        client = await opened(plc)
        try:
            await Tags(client, plc).find()
        finally:
            await client.disconnect()
        return f"is there, with {len(plc.reads)} variables to read and {len(plc.writes)} to write ({plc.security})"

    trust.quiet()
    try:
        return _wait(look(), seconds)
    except LinegateError:
        raise
    except (OSError, TimeoutError, ua.UaError) as error:
        raise TransientError(why_not(error)) from error


def _wait(call: Coroutine[Any, Any, T], seconds: float) -> T:
    async def within() -> T:
        return await asyncio.wait_for(call, seconds)

    return asyncio.run(within())
