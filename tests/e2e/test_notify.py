"""What the service manager is told (Type=notify): sd_notify(3), spoken by the program itself."""

import signal
import socket
from pathlib import Path

import pytest

from lab.gateway import binary
from lab.net import listens
from lab.process import Process, wait_for


class Manager:
    """The socket that systemd would have, and everything that came in."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(0.1)
        self.told = []

    def read(self):
        try:
            while True:
                self.told.append(self.socket.recv(4096).decode().split("\n")[0])
        except TimeoutError:
            return self.told


@pytest.fixture(params=["path", "abstract name"])
def manager(request, world):
    running = world.gateway(start=False)
    directory = running.gateway.run_directory
    address = str(directory / "notify") if request.param == "path" else f"@{directory}/notify"
    manager = Manager(address)
    yield running.gateway, manager
    running.gateway.remove()
    manager.socket.close()


def start(gateway, manager):
    gateway.process = Process([binary(), "run", "--config", gateway.file], gateway.log,
                              environment={"NOTIFY_SOCKET": manager.address})


def test_ready_means_that_ports_are_open_and_roles_run(manager):
    gateway, manager = manager
    start(gateway, manager)
    gateway.process.wait_until(manager.read, 20, "ready")
    assert manager.told == ["READY=1"]
    assert all(role["ready"] for role in gateway.status()["roles"])
    assert all(listens(l["address"], l["port"]) for l in gateway.configuration["listeners"])
    for pid in sum(gateway.roles().values(), []):
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
    gateway.process.signal(signal.SIGHUP)
    wait_for(lambda: manager.read()[1:] == ["RELOADING=1", "READY=1"], 20)
    assert gateway.process.stop() == 0
    assert manager.read()[3:] == ["STOPPING=1"]


def test_a_start_that_fails_is_never_ready(manager):
    gateway, manager = manager
    with socket.create_server((gateway.configuration["listeners"][0]["address"],
                               gateway.configuration["listeners"][0]["port"])):
        start(gateway, manager)
        assert gateway.process.popen.wait(20) != 0
    assert manager.read() == []
    assert "another program listens there" in gateway.process.tail()


def test_a_reload_that_is_refused_is_not_announced(manager):
    gateway, manager = manager
    start(gateway, manager)
    gateway.process.wait_until(manager.read, 20, "ready")
    gateway.file.write_text("nonsense: 1\n")
    assert gateway.command("reload", check=False).returncode != 0
    assert manager.read() == ["READY=1"]
