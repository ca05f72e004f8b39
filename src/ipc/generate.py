#!/usr/bin/env python3
"""Reads messages.def and writes the C of the message catalogue.

usage: generate.py messages.def messages.h messages.c
"""
import sys

ROLES = ["parent", "edge", "filter", "spool", "relay", "resolver", "ledger", "scan", "vault",
         "fetch", "web", "console", "clerk", "cli"]
NUMBERS = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
           "i64": "int64_t", "bool": "bool"}


class Fault(Exception):
    pass


def roles_of(text, where):
    names = [n.strip() for n in text.split(",")]
    for n in names:
        if n not in ROLES + ["any"]:
            raise Fault(f"{where}: no role is called '{n}'")
    return names


def parse(path):
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
            item = {"kind": words[0], "name": words[1], "fields": [],
                    "from": roles_of(sides[0], where), "to": roles_of(sides[1], where)}
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


def header(items):
    messages = [i for i in items if i["kind"] != "record"]
    out = ["/* Made from messages.def by generate.py: change it there. */",
           "#ifndef POSTERN_IPC_MESSAGES_H", "#define POSTERN_IPC_MESSAGES_H", "",
           "#include <stdint.h>", "", '#include "base/str.h"', '#include "ipc/body.h"', "",
           "enum role {"]
    out += [f"    ROLE_{r.upper()}," for r in ROLES]
    out += ["    ROLE_COUNT", "};", "", "enum msg_type {"]
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


def source(items):
    messages = [i for i in items if i["kind"] != "record"]
    out = ["/* Made from messages.def by generate.py: change it there. */",
           '#include "ipc/layout.h"', "", "#include <stddef.h>", ""]
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
    out += ["};", "", "const char *const ipc_role_names[ROLE_COUNT] = {"]
    out += [f'    "{r}",' for r in ROLES]
    return "\n".join(out + ["};", ""])


def main():
    try:
        items = parse(sys.argv[1])
    except Fault as fault:
        sys.exit(str(fault))
    open(sys.argv[2], "w").write(header(items))
    open(sys.argv[3], "w").write(source(items))


main()
