"""The demonstration's start; the story itself is played by demo/run --check."""

import socket
import sys
from pathlib import Path

import pytest

from lab.net import Net

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))

from story import Busy, Story  # noqa: E402


@pytest.mark.parametrize("third,fourth,service,kind,named", [
    (20, 1, "smtps", socket.SOCK_STREAM, "smtps of mx.postbox.example"),
    (10, 2, "imaps", socket.SOCK_STREAM, "imaps of imap.kartapuce.com"),
    (53, 1, "dns", socket.SOCK_DGRAM, "DNS over UDP"),
])
def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path, third, fourth,
                                                                service, kind, named):
    net = Net()
    story = Story(tmp_path, net=net)
    where = (net.host(third, fourth), net.port(service))
    try:
        with socket.socket(type=kind) as other:
            other.bind(where)
            if kind == socket.SOCK_STREAM:
                other.listen()
            with pytest.raises(Busy) as busy:
                story.start()
            assert f"{where[0]} port {where[1]} ({named})" in str(busy.value)
            assert str(busy.value).count(" port ") == 1
        story.check_ports()
    finally:
        story.stop()
