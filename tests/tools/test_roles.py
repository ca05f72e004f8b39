"""The table of roles: what is refused in it, and that packaging, pages and the parent agree with it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from lab.roles import ROLES, TABLE  # noqa: E402

GENERATE = ROOT / "src/ipc/generate.py"
CATALOGUE = ROOT / "src/ipc/messages.def"
PROCESSES = [role for role in TABLE.parse() if role.is_process()]
#: A new role with all that one needs, above those that start last.
NEW = """role novice
    user 30 something new
    processes 1
    descriptors 64
    memory 768

role edge"""


def generate(tmp_path, table=None, catalogue=None):
    """generate.py with another table, or another catalogue."""
    for name, text, original in (("roles.def", table, TABLE.TABLE),
                                 ("messages.def", catalogue, CATALOGUE)):
        (tmp_path / name).write_text(text or original.read_text())
    return subprocess.run([sys.executable, GENERATE, tmp_path / "roles.def",
                           tmp_path / "messages.def", tmp_path / "messages.h",
                           tmp_path / "messages.c"], capture_output=True, text=True, check=False)


def changed(old, new):
    text = TABLE.TABLE.read_text()
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


def test_a_row_makes_a_role(tmp_path):
    row = NEW.replace("processes 1\n", "processes 1\n    peers ledger vault\n")
    done = generate(tmp_path, changed("role edge", row),
                    CATALOGUE.read_text() + "\nmessage novelty novice -> ledger\n    u8 a\n")
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "messages.h").read_text()
    assert "    ROLE_NOVICE,\n" in header and "DO(NOVICE, novice)" in header
    rows = (tmp_path / "messages.c").read_text()
    ledger = rows[rows.index("[ROLE_LEDGER] = {"):rows.index("[ROLE_RESOLVER] = {")]
    assert "1u << ROLE_NOVICE" in ledger            # said once, true for both


FAULTS = [
    # The form
    (("role edge", "role edge two"), "'role' is not expected here"),
    (("memory 768", "memory much"), "'much' is no number"),
    (("memory 768", "memory 768\n    memory 768"), "'memory' is not expected here"),
    (("memory 768", "colour blue"), "'colour' is not expected here"),
    (("    starts last", "    starts first"), "expected 'last'"),
    (("processes 0..1", "processes 1..1"), "or LEAST..MOST"),
    (("processes 1..64", "processes 1..65"), "a number up to 64"),
    (("sandbox accept files", "sandbox accept anything"), "no permission is called 'anything'"),
    (("gets roots", "gets stones"), "no thing to hand over is called 'stones'"),
    # Names and users
    (("role edge", NEW.replace("novice", "vault")), "the name of 'vault' is there twice"),
    (("role edge", NEW.replace("30", "8")), "the number of the user of 'vault' is there twice"),
    (("role edge", NEW.replace("something new", "private keys")), "full name of 'vault'"),
    (("role edge", NEW.replace("novice", "gatekeepers_x")), "too long a name"),
    (("    user 8 private keys\n", ""), "'vault' has no user"),
    (("role cli", "role cli\n    user 30 a command"), "'cli' is not started by the parent"),
    # Peers: both exist, and none waits for one that starts later
    (("peers resolver", "peers nobody"), "no role above it is called 'nobody'"),
    (("peers resolver", "peers spool"), "no role above it is called 'spool'"),
    (("peers resolver", "peers vault"), "no role above it is called 'vault'"),
    (("peers resolver", "peers resolver resolver"), "each role above it is named once"),
    (("peers ledger vault\n", "peers vault\n"), "'spool' and 'ledger' are no peers"),
    (("    starts last\n", ""), "who starts last stands last"),
    (("processes 0..1", "processes 0..1\n    starts last"), "who starts last stands last"),
    (("role cli", NEW.replace("\n\nrole edge", "\n\nrole cli")), "who starts last stands last"),
    # Rights
    (("    directory 0700\n", ""), "'resolver' keeps files, or has no directory"),
    (("directory 0710", "directory 0755"), "a directory that others could read or write"),
    (("sandbox accept files", "sandbox files"), "'ledger' accepts connections, or gets no listener"),
    (("sandbox internet unix", "sandbox internet unix accept"), "'relay' accepts connections"),
    (("    descriptors 8192 ", "    #"), "'filter' has no limit of descriptors and memory"),
    # The catalogue
    (("    gets roots\n", ""), "get 'certificate'"),
    (("    gets metrics\n    sandbox accept\n", ""), "get 'listener'"),
    (("role edge", NEW.replace("    desc", "    gets roots\n    desc")), "novice.* get 'certificate'"),
    (("role edge", NEW.replace("    desc", "    commands\n    sandbox accept\n    desc")),
     "novice.* get 'control_listener'"),
]


@pytest.mark.parametrize("change,told", FAULTS)
def test_what_contradicts_itself_is_not_built(tmp_path, change, told):
    done = generate(tmp_path, changed(*change))
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert re.match(rf"\S+\.def:\d+: .*{told}", done.stderr), done.stderr


@pytest.mark.parametrize("message,told", [
    ("message a edge -> spool", "'edge' and 'spool' are no peers"),
    ("message a edge, filter -> spool, vault", "'edge' and 'spool' are no peers"),
    ("message a cli -> filter", "'filter' does not take commands"),
    ("reply a filter -> cli", "'filter' does not take commands"),
    ("message a edge -> scan", "no role is called 'scan'"),
])
def test_messages_go_over_lines_that_exist(tmp_path, message, told):
    done = generate(tmp_path, catalogue=CATALOGUE.read_text() + f"\n{message}\n    u8 b\n")
    assert done.returncode == 1 and told in done.stderr


def test_who_takes_commands_has_some(tmp_path):
    catalogue = re.sub(r"^(message|reply) (\w+) (cli -> vault|vault -> cli)$", r"\1 \2 cli -> spool",
                       CATALOGUE.read_text(), flags=re.M)
    done = generate(tmp_path, catalogue=catalogue)
    assert done.returncode == 1 and "no command is in the catalogue for 'vault'" in done.stderr


def test_the_package_makes_each_user():
    made = {line for line in (ROOT / "packaging/debian/postern.sysusers").read_text().splitlines()
            if line.startswith("u postern-")}
    wanted = {f"u postern-{role.name:<8} - {chr(34)}Postern, {role.user}{chr(34):<22} /nonexistent"
              for role in PROCESSES}
    assert {" ".join(line.split()) for line in made} == {" ".join(line.split()) for line in wanted}


def test_the_page_tells_of_each_role():
    """The table in doc/architecture.md, and what it says that a role may never do."""
    rows = {match[1]: (match[2] or "", match[3]) for match in
            re.finditer(r"^\| (\w+)( \(.*\))? \| [^|]+ \| ([^|]*) \|$",
                        (ROOT / "doc/architecture.md").read_text(), re.M) if match[1] != "role"}
    assert rows.keys() == {"parent", *ROLES}
    for role in PROCESSES:
        number, never = rows[role.name]
        assert bool(number) == (role.most > 1), role.name
        assert "files" in role.sandbox or "a file" in never, role.name
        assert {"internet", "unix"} & set(role.sandbox) or "a socket" in never, role.name


def test_the_manual_tells_of_each_role():
    page = (ROOT / "doc/man/postern.8").read_text()
    told = page[page.index("starts one process for each job"):page.index("Each has its own user")]
    for role in ROLES:
        assert re.search(rf"\bthe\s+{role}s?\b", told), role


def test_parent_and_frame_know_no_role_by_its_name():
    files = [path for path in [*(ROOT / "src/roles/parent").glob("*.[ch]"),
                               *(ROOT / "src/roles").glob("role*.[ch]"),
                               *(ROOT / "src/roles").glob("definitions.[ch]"),
                               *(ROOT / "src/ipc").glob("*.[ch]")]
             if not path.stem.endswith(("_test", "_fuzz", "_seeds"))]
    assert len(files) > 20
    known = "|".join(role.upper() for role in ROLES)
    for path in files:
        found = re.findall(rf"\bROLE_(?:{known})\b", path.read_text())
        assert not found, (path, found)
