#!/usr/bin/env python3
"""Every key of the configuration is read somewhere: a documented limit that nobody asks for is none.

usage: check_keys_read.py, from anywhere in the tree. A member of a struct in config.h counts as
read when its name stands behind "->" or "." in a C file outside src/config, or in one of the rows
below, which say who reads it there.
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

#: Read by functions of src/config that others call.
READ_IN_CONFIG = {
    "networks": "config_zone_for_ip",
    "list": "config_list_contains",
    "plus_addressing": "config_plus_base",
    "plus_separator": "config_plus_base",
    "aliases": "config_alias_find",
    "routes": "config_route_find",
    "zones": "config_zone_for_ip",
    "with_subdomains": "config_route_find",
    "control": "config_ref",
    "authserv_id": "config_authserv_id",
    "any_sender": "local_user_may_use_any_sender",
}


def members():
    """(struct, member) of every struct in config.h that the schema fills."""
    text = re.sub(r"/\*.*?\*/", "", (SOURCE / "config/config.h").read_text(), flags=re.S)
    for name, body in re.findall(r"^struct (config(?:_\w+)?) \{(.*?)^\};", text, re.S | re.M):
        if name in ("config_error", "config_errors"):
            continue
        for declaration in body.split(";"):
            found = re.search(r"(\w+)(?:\[[^]]*\])?\s*$", declaration.strip())
            if found:
                yield name, found.group(1)


def main():
    code = "\n".join(path.read_text() for path in SOURCE.rglob("*.c")
                     if "config" not in path.relative_to(SOURCE).parts
                     and not re.search(r"(_test|_fuzz|/test_\w+)\.c$", str(path)))
    read = set(re.findall(r"(?:->|\.)\s*(\w+)", re.sub(r"^\s*\.\w+ =", "", code, flags=re.M)))
    faults = []
    for struct, member in members():
        helper = READ_IN_CONFIG.get(member)
        if member not in read and not (helper and helper in code):
            faults.append(f"src/config/config.h: nobody reads {member} of struct {struct}")
    print("\n".join(faults) if faults else "every key is read", file=sys.stderr if faults else None)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
