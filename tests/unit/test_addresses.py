"""Where notifications may go: what an address stands for is judged, not how it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.addresses import is_public, meant
from linegate.sections import Network

ANYWHERE = Network()
PRIVATE = Network(private_addresses=["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fd00::/8", "100.64.0.0/10"])

NOT_PUBLIC = (
    "0.0.0.0 0.1.2.3 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 "
    "192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 "
    ":: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::192.168.0.1 "
    "100::1 2001::1 2001:10::1 2001:20::1 2001:db8::1 2002:a00:1:: 2002:7f00:1:: 2002:a9fe:a9fe:: 3fff::1 5f00::1 "
    "fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 4000::1 e000::1"
)


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_what_is_not_of_the_public_internet_is_refused_whatever_it_is_wrapped_in(address: str) -> None:
    for encrypted in (False, True):
        assert "network.private_addresses" in ANYWHERE.refusal(address, encrypted)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"]
)
def test_public_addresses_are_spoken_to_with_encryption_only(address: str) -> None:
    assert not ANYWHERE.refusal(address, encrypted=True)
    assert "without encryption" in ANYWHERE.refusal(address, encrypted=False)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::", "fd12::1"])
def test_private_addresses_that_are_allowed_are_so_however_they_are_written(address: str) -> None:
    assert not PRIVATE.refusal(address, encrypted=False)


@pytest.mark.parametrize("address", ["169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"])
def test_where_clouds_keep_credentials_is_allowed_by_its_own_address_only(address: str) -> None:
    assert "credentials" in PRIVATE.refusal(address, encrypted=False)
    assert not Network(private_addresses=[str(meant(address))]).refusal(address, encrypted=False)


@pytest.mark.parametrize("text", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "0x7f000001", "127.0.0.1.", "[::1]"])
def test_loopback_is_known_in_every_spelling_that_a_connection_takes(text: str) -> None:
    assert not is_public(meant(text))


@given(st.ip_addresses())
def test_every_address_is_judged(address: object) -> None:
    is_public(meant(str(address)))


@pytest.mark.parametrize("name", ["hmi.plant.example", "localhost", "", "1.2.3.4.5", "256.1.1.1"])
def test_names_are_no_addresses(name: str) -> None:
    with pytest.raises(ValueError, match="no IP address"):
        meant(name)
