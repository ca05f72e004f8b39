"""Limits of clients, with several edges: they are of all edges together."""

import os
import signal

from lab.process import wait_for
from world import BOB, PLAIN


def first_codes(running, count, source=None):
    """Opens connections one after the other: (connections that stay, first codes of all)."""
    stay, codes = [], []
    for _ in range(count):
        client = running.dialogue(source=source)
        codes.append(client.greeting.code)
        (stay.append if client.greeting.code == 220 else lambda c: c.close())(client)
    return stay, codes


def test_connections_are_counted_over_all_edges(world):
    running = world.gateway({"workers": {"edge": 8}, "limits": {"connections_per_address": 8}})

    def eight_of_twelve():
        """Those of the time before may not have been missed yet: fewer get in then, never more."""
        stay, codes = first_codes(running, 12)
        for client in stay:
            assert client.quit().code == 221
            client.close()
        assert codes.count(220) <= 8 and set(codes) == {220, 421}
        return codes == [220] * 8 + [421] * 4
    for _ in range(3):
        wait_for(eight_of_twelve, 5, step=0.2)


def test_what_a_killed_edge_had_open_does_not_count(world):
    running = world.gateway({"workers": {"edge": 4}, "limits": {"connections_per_address": 12}})
    stay, codes = first_codes(running, 13)
    assert codes == [220] * 12 + [421]
    for pid in running.gateway.roles()["edge"]:
        os.kill(pid, signal.SIGKILL)
    # Its connections ended with it.
    for client in stay:
        client.socket.settimeout(5)
        assert client.socket.recv(1) == b""
        client.close()
    wait_for(running.gateway.ready, 15)

    def twelve_again():
        stay, codes = first_codes(running, 13)
        for client in stay:
            client.close()
        return codes == [220] * 12 + [421]
    wait_for(twelve_again, 10, step=0.3)


def test_rates_are_counted_over_all_edges(world):
    running = world.gateway({"workers": {"edge": 4},
                             "limits": {"connection_rate": 10, "message_rate_per_network": 5}})
    stay, codes = first_codes(running, 12, "127.0.0.77")      # has not asked whether it is ready
    # One comes back within the six seconds that the minute gives each, so the end is not sharp.
    assert codes[:10] == [220] * 10 and 421 in codes[10:]
    replies = []
    for client in stay[:7]:
        client.ehlo()
        replies.append(client.command("MAIL FROM:<a@peers.example>"))
    assert [r.code for r in replies] == [250] * 5 + [450] * 2
    assert "from your network" in replies[-1].text
    assert running.gateway.command("status").stdout.count("edge_refused_network_messages") >= 1
    for client in stay:
        client.close()


def test_a_zone_without_rate_limits_has_no_such_limit(world):
    running = world.gateway({
        "limits": {"connections_per_address": 2, "connection_rate": 2, "message_rate": 1},
        "zones": [{"name": "inside", "networks": ["127.0.0.0/8"], "rate_limits": False}]})
    stay, codes = first_codes(running, 6)
    assert codes == [220] * 6
    for client in stay[:2]:
        client.ehlo()
        assert client.mail("a@peers.example", BOB[0], PLAIN).code == 250
    for client in stay:
        client.close()
