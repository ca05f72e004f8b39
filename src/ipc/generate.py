#!/usr/bin/env python3
"""Reads roles.def and messages.def and writes the C of the table of roles and of the catalogue.

usage: generate.py roles.def messages.def messages.h messages.c
"""
import sys

sys.dont_write_bytecode = True

import roles as table  # noqa: E402
from roles import Fault  # noqa: E402

NUMBERS = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
           "i64": "int64_t", "bool": "bool"}
MADE = "/* Made from roles.def and messages.def by generate.py: change it there. */"


def roles_of(text, roles, where):
    names = [n.strip() for n in text.split(",")]
    for n in names:
        if n not in [role.name for role in roles] + ["any"]:
            raise Fault(f"{where}: no role is called '{n}'")
    return names


def parse(path, roles):
    items, item = [], None
    for number, line in enumerate(open(path), 1):
        where = f"{path}:{number}"
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "record":
            item = {"kind": "record", "name": words[1], "fields": []}
            items.append(item)
        elif words[0] in ("message", "reply"):
            sides = " ".join(words[2:]).split("->")
            if len(sides) != 2:
                raise Fault(f"{where}: expected FROM -> TO")
            item = {"kind": words[0], "name": words[1], "fields": [], "where": where,
                    "from": roles_of(sides[0], roles, where),
                    "to": roles_of(sides[1], roles, where)}
            items.append(item)
        elif item is None:
            raise Fault(f"{where}: a field outside of a record or message")
        else:
            item["fields"].append(field(words, where))
    names = [i["name"] for i in items]
    for n in names:
        if names.count(n) > 1:
            raise Fault(f"{path}: '{n}' is there twice")
    return ordered(items, path)


def field(words, where):
    kind, arity = words[0], len(words)
    want = {"str": 3, "secret": 3, "list": 4}.get(kind, 2)
    if kind not in NUMBERS and kind not in ("str", "secret", "fd", "body", "list"):
        raise Fault(f"{where}: no field type is called '{kind}'")
    if arity != want:
        raise Fault(f"{where}: '{kind}' takes {want - 1} words")
    return {"kind": kind, "name": words[1], "record": words[2] if kind == "list" else None,
            "bound": int(words[-1]) if want > 2 else 0}


def ordered(items, path):
    """Records first, each after the records it uses."""
    records = {i["name"]: i for i in items if i["kind"] == "record"}
    done, out = set(), []

    def visit(item, above):
        for f in item["fields"]:
            if f["kind"] != "list":
                continue
            if f["record"] not in records or f["record"] in above:
                raise Fault(f"{path}: '{item['name']}' has a list of unknown '{f['record']}'")
            visit(records[f["record"]], above + [f["record"]])
        if item["kind"] == "record" and item["name"] not in done:
            done.add(item["name"])
            out.append(item)

    for i in items:
        visit(i, [i["name"]])
    return out + [i for i in items if i["kind"] != "record"]


def check_line(sender, receiver, where):
    """Who may send a message has a line to the one who may receive it."""
    for end, other in ((sender, receiver), (receiver, sender)):
        if end.name == "cli" and not other.commands:
            raise Fault(f"{where}: '{other.name}' does not take commands")
    if sender.is_process() and receiver.is_process() and receiver.name not in sender.peers:
        raise Fault(f"{where}: '{sender.name}' and '{receiver.name}' are no peers")


def check_lines(items, roles):
    by_name = {role.name: role for role in roles}
    for item in items:
        pairs = [(a, b) for a in item.get("from", []) for b in item.get("to", [])]
        for a, b in pairs:
            if "any" not in (a, b):
                check_line(by_name[a], by_name[b], item["where"])


def check_gets(items, roles):
    """The parent may send what a role gets by the table, and nothing of the kind to others."""
    for message in sorted({*table.GETS.values(), "control_listener"}):
        item = next(i for i in items if i["name"] == message)
        wanted = {role.name for role in roles if role.is_process() and
                  (any(table.GETS[what] == message for what in role.gets) or
                   (message == "control_listener" and role.commands))}
        if set(item["to"]) != wanted:
            raise Fault(f"{item['where']}: by the table of roles, {', '.join(sorted(wanted))} "
                        f"get '{message}'")


def check_commands(items, roles):
    """Who takes commands has some in the catalogue."""
    called = {name for i in items if "cli" in i.get("from", []) for name in i["to"]}
    for role in roles:
        if role.commands and role.name not in called:
            raise Fault(f"{role.where}: no command is in the catalogue for '{role.name}'")


def prefix(item):
    return "record_" if item["kind"] == "record" else "msg_"


def c_member(f):
    kind = f["kind"]
    if kind in NUMBERS:
        return f"{NUMBERS[kind]} {f['name']};"
    if kind in ("str", "secret"):
        return f"struct str {f['name']}; /* at most {f['bound']} octets */"
    if kind == "fd":
        return f"int {f['name']}; /* -1: none */"
    if kind == "body":
        return f"struct ipc_body {f['name']};"
    return (f"struct {{\n        struct record_{f['record']} *items;\n        size_t n; "
            f"/* at most {f['bound']} */\n    }} {f['name']};")


def role_header(roles):
    """The enum of roles, and what depends on how many there are."""
    out = ["enum role {"]
    out += [f"    ROLE_{role.name.upper()}," for role in roles]
    out += ["    ROLE_COUNT", "};", "",
            "/* Most processes of one role, and of all together. */",
            f"#define ROLE_INSTANCES_MAX {max(role.most for role in roles)}",
            f"#define ROLE_PROCESSES_MAX {sum(role.most for role in roles)}", "",
            "/* DO(NAME, name) for each role that is a process, in the order of the table. */",
            "#define ROLE_EACH(DO) \\"]
    out += [f"    DO({role.name.upper()}, {role.name}) \\" for role in roles if role.is_process()]
    return out + ["    /* all */", ""]


def bits(constant, names):
    return " | ".join(f"{constant}{name.upper()}" for name in names) or "0"


def role_rows(roles):
    out = ["const struct role_row role_rows[ROLE_COUNT] = {"]
    for role in roles:
        peers = " | ".join(f"1u << ROLE_{peer.upper()}" for peer in role.peers) or "0"
        out += [f"    [ROLE_{role.name.upper()}] = {{", f'        .name = "{role.name}",',
                f"        .user_number = {role.number or 0},",
                f"        .processes_least = {role.least}, .processes_most = {role.most},",
                f"        .starts_last = {'true' if role.starts_last else 'false'},",
                f"        .commands = {'true' if role.commands else 'false'},",
                f"        .peers = {peers},",
                f"        .gets = {bits('ROLE_GETS_', role.gets)},",
                f"        .directory_mode = {role.directory:#o},".replace("0o", "0"),
                f'        .sandbox = {{"{role.name}", {bits("SANDBOX_ALLOW_", role.sandbox)}, '
                f"{role.descriptors}, {role.memory}ull << 20}},", "    },"]
    return out + ["};", ""]


def header(items, roles):
    messages = [i for i in items if i["kind"] != "record"]
    out = [MADE, "#ifndef POSTERN_IPC_MESSAGES_H", "#define POSTERN_IPC_MESSAGES_H", "",
           "#include <stdint.h>", "", '#include "base/str.h"', '#include "ipc/body.h"', ""]
    out += role_header(roles)
    out += ["enum msg_type {"]
    out += [f"    MSG_{m['name'].upper()}," for m in messages]
    out += ["    MSG_TYPE_COUNT", "};", ""]
    for i in items:
        if not i["fields"]:
            continue
        out.append(f"struct {prefix(i)}{i['name']} {{")
        out += [f"    {c_member(f)}" for f in i["fields"]]
        out += ["};", ""]
    return "\n".join(out + ["#endif", ""])


def c_field(item, f):
    owner = f"struct {prefix(item)}{item['name']}"
    record = f"&record_layout_{f['record']}" if f["record"] else "NULL"
    return (f'    {{"{f["name"]}", IPC_FIELD_{f["kind"].upper()}, {f["bound"]}, '
            f'offsetof({owner}, {f["name"]}), {record}}},')


def mask(names):
    if "any" in names:
        return "IPC_ROLES_ANY"
    return " | ".join(f"1u << ROLE_{n.upper()}" for n in names)


def source(items, roles):
    messages = [i for i in items if i["kind"] != "record"]
    out = [MADE, '#include "ipc/layout.h"', '#include "ipc/role_table.h"', "",
           "#include <stddef.h>", ""]
    for i in items:
        layout = f"{i['kind'] == 'record' and 'record' or 'msg'}_layout_{i['name']}"
        if i["fields"]:
            out.append(f"static const struct ipc_field {layout}_fields[] = {{")
            out += [c_field(i, f) for f in i["fields"]]
            out += ["};", ""]
            out += [f"static const struct ipc_layout {layout} = {{",
                    f'    "{i["name"]}", {layout}_fields, {len(i["fields"])}, '
                    f"sizeof(struct {prefix(i)}{i['name']})}};", ""]
        else:
            out += [f'static const struct ipc_layout {layout} = {{"{i["name"]}", NULL, 0, 0}};', ""]
    out.append("const struct ipc_message_rule ipc_message_rules[MSG_TYPE_COUNT] = {")
    for m in messages:
        out.append(f"    [MSG_{m['name'].upper()}] = {{&msg_layout_{m['name']}, "
                   f"{'true' if m['kind'] == 'reply' else 'false'}, {mask(m['from'])}, "
                   f"{mask(m['to'])}}},")
    out += ["};", ""]
    return "\n".join(out + role_rows(roles))


def main():
    try:
        roles = table.parse(sys.argv[1])
        items = parse(sys.argv[2], roles)
        check_lines(items, roles)
        check_gets(items, roles)
        check_commands(items, roles)
    except Fault as fault:
        sys.exit(str(fault))
    open(sys.argv[3], "w").write(header(items, roles))
    open(sys.argv[4], "w").write(source(items, roles))


main()
