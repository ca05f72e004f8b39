"""The table of roles (src/ipc/roles.def), for tests that are to hold for each role."""

import importlib.util
from pathlib import Path

_READER = Path(__file__).resolve().parents[2] / "src/ipc/roles.py"


def _reader():
    spec = importlib.util.spec_from_file_location("postern_roles", _READER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = _reader()
#: Roles that are processes, by name, in the order in which they are started.
ROLES = tuple(TABLE.names())
