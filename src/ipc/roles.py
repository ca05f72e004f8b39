"""Reads roles.def, the table of roles, and says what contradicts itself in it.

Used by generate.py, and by the tests that compare packaging and documentation with the table.
"""
from pathlib import Path

TABLE = Path(__file__).with_name("roles.def")
# What the parent can hand to a role, and the message by which it does.
GETS = {"certificates": "certificate", "keys": "signing_key", "roots": "certificate",
        "listeners": "listener", "metrics": "listener", "clients": "clients"}
SANDBOX = ("accept", "internet", "unix", "files")
# Sets of roles and of what they get are bits of a uint32_t.
ROLES_MAX = 31
PROCESSES_MAX = 64
# Who has no process of the table's: started by hand.
OUTSIDE = ("parent", "cli")


class Fault(Exception):
    pass


class Role:
    """One role; `peers` is symmetric once all are read."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.number, self.user = None, ""
        self.least = self.most = 0
        self.starts_last = self.commands = False
        self.peers, self.gets, self.sandbox = [], [], []
        self.directory, self.descriptors, self.memory = 0, 0, 0

    def is_process(self):
        return self.name not in OUTSIDE


def number(word, where, base=10):
    try:
        return int(word, base)
    except ValueError:
        raise Fault(f"{where}: '{word}' is no number") from None


def several(words, known, what, where):
    for word in words:
        if word not in known:
            raise Fault(f"{where}: no {what} is called '{word}'")
    if not words or len(set(words)) != len(words):
        raise Fault(f"{where}: each {what} is named once")
    return list(words)


def take_user(role, words, _roles, where):
    if len(words) < 2:
        raise Fault(f"{where}: expected a number and a name")
    role.number, role.user = number(words[0], where), " ".join(words[1:])


def take_processes(role, words, _roles, where):
    least, dots, most = words[0].partition("..") if len(words) == 1 else ("", "", "")
    role.least, role.most = number(least, where), number(most if dots else least, where)
    if not (role.least < role.most if dots else role.least) or role.most > PROCESSES_MAX:
        raise Fault(f"{where}: a number up to {PROCESSES_MAX}, or LEAST..MOST")


def take_one(attribute, base=10):
    def take(role, words, _roles, where):
        if len(words) != 1:
            raise Fault(f"{where}: expected one number")
        setattr(role, attribute, number(words[0], where, base))
    return take


def take_flag(attribute, *expected):
    def take(role, words, _roles, where):
        if tuple(words) != expected:
            raise Fault(f"{where}: expected '{' '.join(expected) or 'nothing more'}'")
        setattr(role, attribute, True)
    return take


def take_peers(role, words, roles, where):
    above = [other.name for other in roles if other.is_process() and other is not role]
    role.peers = several(words, above, "role above it", where)


def take_gets(role, words, _roles, where):
    role.gets = several(words, GETS, "thing to hand over", where)


def take_sandbox(role, words, _roles, where):
    role.sandbox = several(words, SANDBOX, "permission", where)


TAKERS = {"user": take_user, "processes": take_processes, "starts": take_flag("starts_last", "last"),
          "peers": take_peers, "gets": take_gets, "commands": take_flag("commands"),
          "directory": take_one("directory", 8), "sandbox": take_sandbox,
          "descriptors": take_one("descriptors"), "memory": take_one("memory")}


def read(lines, path):
    roles, seen = [], set()
    for line_number, line in enumerate(lines, 1):
        where = f"{path}:{line_number}"
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "role" and len(words) == 2 and words[1].isidentifier():
            roles.append(Role(words[1], where))
            seen = set()
        elif words[0] not in TAKERS or words[0] in seen or not roles:
            raise Fault(f"{where}: '{words[0]}' is not expected here")
        else:
            seen.add(words[0])
            TAKERS[words[0]](roles[-1], words[1:], roles, where)
    return roles


def unique(roles, attribute, what):
    values = [getattr(role, attribute) for role in roles]
    for role in roles:
        if values.count(getattr(role, attribute)) > 1:
            raise Fault(f"{role.where}: the {what} of '{role.name}' is there twice")


def check_outside(role):
    """The parent and the commands: no process of the table's, and nothing that one needs."""
    if role.number is not None or role.most or role.peers or role.gets or role.sandbox \
            or role.directory or role.descriptors or role.starts_last:
        raise Fault(f"{role.where}: '{role.name}' is not started by the parent")


def check_process(role):
    def need(holds, text):
        if not holds:
            raise Fault(f"{role.where}: '{role.name}' {text}")

    takes = {"listeners", "metrics"} & set(role.gets) or role.commands
    need(role.number is not None and role.number > 0, "has no user")
    need(role.most > 0, "has no number of processes")
    need(role.descriptors > 0 and role.memory > 0, "has no limit of descriptors and memory")
    need(("files" in role.sandbox) == (role.directory > 0), "keeps files, or has no directory")
    need(role.directory & ~0o710 == 0, "has a directory that others could read or write")
    need(("accept" in role.sandbox) == bool(takes), "accepts connections, or gets no listener")
    need("clients" not in role.gets or role.least > 0, "shares counts, perhaps with nobody")
    need(role.most == 1 or not role.commands, "takes commands in several processes")
    # 15 characters are all that the kernel shows of "postern-NAME", and users are told apart by it.
    need(role.name.islower() and len(role.name) <= 12, "has too long a name, or not a plain one")


def check(roles):
    unique(roles, "name", "name")
    processes = [role for role in roles if role.is_process()]
    unique(processes, "number", "number of the user")
    unique(processes, "user", "user's full name")
    if len(roles) > ROLES_MAX or [roles[0].name, roles[-1].name] != list(OUTSIDE):
        raise Fault(f"{roles[0].where}: the parent is first and the command line last, of at most "
                    f"{ROLES_MAX}")
    for role in roles:
        (check_process if role.is_process() else check_outside)(role)
    if sum("clients" in role.gets for role in roles) > 1:
        raise Fault(f"{roles[0].where}: two roles would share counts of clients")
    last = [role.starts_last for role in processes]
    if last != sorted(last) or not last[-1] or not processes[-1].least:
        raise Fault(f"{processes[-1].where}: who starts last stands last, and one is always there")


def parse(path=TABLE):
    """The roles in the order of the table, checked."""
    roles = read(Path(path).read_text(encoding="utf-8").splitlines(), path)
    if not roles:
        raise Fault(f"{path}: there are no roles")
    check(roles)
    by_name = {role.name: role for role in roles}
    for role in roles:
        for peer in role.peers:
            if role.name not in by_name[peer].peers:
                by_name[peer].peers.append(role.name)
    return roles


def names(path=TABLE):
    """The roles that are processes, by name."""
    return [role.name for role in parse(path) if role.is_process()]
