"""A line over Modbus whose gate and PLC are killed: the short form of `python -m tests.modbus_line`."""

from pathlib import Path

from tests.controllers import free_port
from tests.modbus_line import play, server


def test_every_job_has_its_one_result_whoever_is_killed(tmp_path: Path) -> None:
    told = play(tmp_path, server(free_port()), parts=8, kills=2, seed=2)
    told.check()
    assert (told.asked, told.gate_kills + told.plc_kills) == (8, 2)
    assert told.gate_kills
    assert len(told.results) >= 8 - told.plc_kills
