"""A line over OPC UA whose gate and controller are killed: the short form of `python -m tests.opcua_line`."""

from pathlib import Path

from tests.controllers import free_port
from tests.modbus_line import play
from tests.opcua_line import server


def test_every_job_has_its_one_result_whoever_is_killed(tmp_path: Path) -> None:
    told = play(tmp_path, server(free_port()), parts=4, kills=2, seed=3)
    told.check()
    assert (told.asked, told.gate_kills, told.plc_kills) == (4, 1, 1)
    assert len(told.results) >= 3
