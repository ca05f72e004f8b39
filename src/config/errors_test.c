/* Broken configurations: what exactly is said about each mistake, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/config.h"

#define ERROR_ROOM ((size_t)1 << 20)

/* The least that every file needs; shortens the cases. Ends on line 2. */
#define HEAD                                                                                       \
    "hostname: mx.example.com\n"                                                                   \
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"

struct broken_case {
    const char *text;
    const char *want; /* all errors, one a line: "line:column: text" */
};

static const struct broken_case syntax_cases[] = {
    {"", "1:1: \"hostname\" is missing; expected a full host name such as mx.example.com\n"
         "1:1: \"listeners\" is missing; expected a list\n"},
    {"# only a comment\n",
     "1:1: \"hostname\" is missing; expected a full host name such as mx.example.com\n"
     "1:1: \"listeners\" is missing; expected a list\n"},
    {"- a\n", "1:1: expected a map, found a list; postern config reference lists the keys\n"},
    {"word", "1:1: expected a map, found text; postern config reference lists the keys\n"},
    {"hostname: [a\n", "2:1: not valid YAML: did not find expected ',' or ']' (while parsing a "
                       "flow sequence that starts on line 1)\n"},
    {"a:\n\tb: 1\n", "2:1: not valid YAML: found character that cannot start any token (while "
                     "scanning for the next token); use spaces for indentation, not tabs\n"},
    {"a: @b\n", "1:4: not valid YAML: found character that cannot start any token (while scanning "
                "for the next token); put the value in quotes\n"},
    {"a: b\nc: \x01\n", "2:4: not valid YAML: control characters are not allowed\n"},
    {"a: \xc3\xa9\nc: \xff\n", "2:4: not valid YAML: invalid leading UTF-8 octet\n"},
    {"a: &x b\n", "1:4: anchors (&name) are not supported; write the value out\n"},
    {"a: *x\n", "1:4: a value that begins with * refers to an anchor, which is not supported; "
                "write the value out, or in quotes if it is text\n"},
    {"a: !int 5\n", "1:4: tags (!name) are not supported; leave it out\n"},
    {"a: 1\n---\na: 2\n", "2:1: there is a second document (---); only one is read\n"},
    {"{[a]: 1}\n", "1:2: a key must be plain text, not a list or a map\n"},
    {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", "1:17: lists and maps are nested too deeply\n"},
};

static const struct broken_case value_cases[] = {
    {HEAD "authentication: {verdict_field: Subject}\n",
     "3:33: authentication.verdict_field: expected the name of a header field of your own: X-, "
     "then "
     "letters, digits and hyphens\n"},
    {HEAD "authentication: {spf: {includes: [_spf.example.net, \"a b\"]}}\n",
     "3:34: authentication.spf.includes[1]: expected the name of a domain with an SPF record, such "
     "as "
     "_spf.example.net\n"},
    {HEAD "authentication: {srs: {domain: example.net}}\n",
     "3:32: authentication.srs.domain: example.net is not among domains, so notices to its senders "
     "would be refused\n"},
    {HEAD "authentication:\n  dmarc:\n    exceptions: [{domain: a.example}, "
          "{domain: a.example}]\n",
     "5:39: the exception for \"a.example\" is listed twice; the first is on line 5\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: 2027-02-29}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"2027-02-29\"\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: 2027-13-01}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"2027-13-01\"\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: 2027-1-1}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"2027-1-1\"\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: 27-01-01}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"27-01-01\"\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: tomorrow}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"tomorrow\"\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: 2027-01-00}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"2027-01-00\"\n"},
    {HEAD "dane: {exceptions: [{domain: a.example, until: 1969-12-31}]}\n",
     "3:48: dane.exceptions[0].until: expected a date such as 2027-01-31, found \"1969-12-31\"\n"},
    {HEAD "limit: {}\n", "3:1: unknown key \"limit\"; did you mean \"limits\"?\n"},
    {HEAD "lmits: {}\n", "3:1: unknown key \"lmits\"; did you mean \"limits\"?\n"},
    {HEAD "wholly_unknown: 1\n",
     "3:1: unknown key \"wholly_unknown\"; postern config reference lists the keys\n"},
    {HEAD "directories:\n  stat: /a\n",
     "4:3: directories: unknown key \"stat\"; did you mean \"state\"?\n"},
    {HEAD "directories: {log: /a}\n",
     "3:15: directories: unknown key \"log\"; the keys here are state, run\n"},
    {HEAD "\"li\\nst\\xff\": 1\n", "3:1: unknown key \"li\\x0ast\\xc3\\xbf\"; postern config "
                                   "reference lists the keys\n"},
    {HEAD "hostname: b.example\n", "3:1: the key \"hostname\" is given twice; the first is on line "
                                   "1\n"},
    {HEAD "limits: {errors: 5, errors: 6}\n",
     "3:21: limits: the key \"errors\" is given twice; the first is on line 3\n"},
    {HEAD "limits: 5\n",
     "3:9: limits: expected a map, found text; postern config reference lists the keys\n"},
    {HEAD "limits: [errors]\n",
     "3:9: limits: expected a map, found a list; postern config reference lists the keys\n"},
    {HEAD "limits: {errors: [1]}\n",
     "3:18: limits.errors: expected a whole number from 1 to 1000, found a list\n"},
    {HEAD "limits: {errors: }\n",
     "3:18: limits.errors: expected a whole number from 1 to 1000, found nothing\n"},
    {HEAD "limits: {recipients: 99}\n",
     "3:22: limits.recipients: expected a whole number from 100 to 10000, found \"99\"\n"},
    {HEAD "limits: {recipients: 10001}\n",
     "3:22: limits.recipients: expected a whole number from 100 to 10000, found \"10001\"\n"},
    {HEAD "limits: {recipients: 99999999999999999999}\n",
     "3:22: limits.recipients: expected a whole number from 100 to 10000, found "
     "\"99999999999999999999\"\n"},
    {HEAD "limits: {recipients: -5}\n",
     "3:22: limits.recipients: expected a whole number from 100 to 10000, found \"-5\"\n"},
    {HEAD "limits: {recipients: \"200\"}\n",
     "3:22: limits.recipients: expected a whole number from 100 to 10000, found \"200\"; leave "
     "out the quotation marks\n"},
    {HEAD "limits: {recipients: 0200}\n",
     "3:22: limits.recipients: expected a whole number from 100 to 10000, found \"0200\"; leave "
     "out the leading zero\n"},
    {HEAD "limits: {message_size: 50mb}\n",
     "3:24: limits.message_size: expected a size such as 512KiB, 50MiB or 10MB, from 64KiB to "
     "2GiB, found \"50mb\"; no such unit; did you mean \"50MB\"?\n"},
    {HEAD "limits: {message_size: 50 MiB}\n",
     "3:24: limits.message_size: expected a size such as 512KiB, 50MiB or 10MB, from 64KiB to "
     "2GiB, found \"50 MiB\"; no blank between number and unit\n"},
    {HEAD "limits: {message_size: 99999999999PiB}\n",
     "3:24: limits.message_size: expected a size such as 512KiB, 50MiB or 10MB, from 64KiB to "
     "2GiB, found \"99999999999PiB\"\n"},
    {HEAD "limits: {timeouts: {command: 5x}}\n",
     "3:30: limits.timeouts.command: expected a duration such as 30s, 5m, 4h or 5d, from 1s to 1h, "
     "found \"5x\"; no such unit\n"},
    {HEAD "limits: {timeouts: {command: 0}}\n",
     "3:30: limits.timeouts.command: expected a duration such as 30s, 5m, 4h or 5d, from 1s to 1h, "
     "found \"0\"\n"},
    {HEAD "limits: {timeouts: {command: m}}\n",
     "3:30: limits.timeouts.command: expected a duration such as 30s, 5m, 4h or 5d, from 1s to 1h, "
     "found \"m\"\n"},
    {HEAD "queue: {retry_factor: 2.1234}\n",
     "3:23: queue.retry_factor: expected a number from 1.0 to 10.0, found \"2.1234\"; at most "
     "three digits after the point\n"},
    {HEAD "queue: {retry_factor: 0.9}\n",
     "3:23: queue.retry_factor: expected a number from 1.0 to 10.0, found \"0.9\"\n"},
    {HEAD "limits: {bare_lf: accept}\n",
     "3:19: limits.bare_lf: expected refuse or data, found \"accept\"\n"},
    {HEAD "logging: {level: warning}\n", "3:18: logging.level: expected error, warn, info or "
                                         "debug, found \"warning\"; did you mean \"warn\"?\n"},
    {HEAD "logging: {format: jason}\n", "3:19: logging.format: expected keyvalue or json, found "
                                        "\"jason\"; did you mean \"json\"?\n"},
    {HEAD "metrics: {enabled: yes}\n", "3:20: metrics.enabled: expected true or false, found "
                                       "\"yes\"; did you mean \"true\"?\n"},
    {HEAD "metrics: {enabled: False}\n", "3:20: metrics.enabled: expected true or false, found "
                                         "\"False\"; did you mean \"false\"?\n"},
    {HEAD "metrics: {port: 0}\n",
     "3:17: metrics.port: expected a port number from 1 to 65535, found \"0\"\n"},
    {HEAD "metrics: {address: localhost}\n",
     "3:20: metrics.address: expected an IP address such as 192.0.2.1 or 2001:db8::1, found "
     "\"localhost\"\n"},
    {HEAD "directories: {state: var}\n",
     "3:22: directories.state: expected an absolute path, found \"var\"; it must begin with /\n"},
    {HEAD "directories: {state: \"/a\\tb\"}\n",
     "3:22: directories.state: expected an absolute path, found \"/a\\x09b\"; control characters "
     "are not allowed\n"},
    {HEAD "run_as: Root User\n",
     "3:9: run_as: expected a name of at most 32 characters a-z, 0-9, _ and -, a letter first, "
     "found \"Root User\"\n"},
    {HEAD "smtp: {banner: \"caf\xc3\xa9\"}\n",
     "3:16: smtp.banner: expected printable ASCII text of 0 to 200 characters, found "
     "\"caf\\xc3\\xa9\"\n"},
    {HEAD "resolver: {stub_root: 127.0.0.1@0}\n",
     "3:23: resolver.stub_root: expected an IP address, with @ and a port where it is not 53, "
     "found \"127.0.0.1@0\"; the port must be a number from 1 to 65535\n"},
    {HEAD "resolver: {forwarders: 127.0.0.1}\n",
     "3:24: resolver.forwarders: expected a list, found \"127.0.0.1\"; write it in [ ]\n"},
    {HEAD "zones: {name: a}\n",
     "3:8: zones: expected a list, found a map; put \"- \" before each entry\n"},
    {HEAD "zones: [{name: a, networks: [10.0.0.1/8]}]\n",
     "3:30: zones[0].networks[0]: expected a network such as 192.0.2.0/24 or 2001:db8::/32, found "
     "\"10.0.0.1/8\"; bits behind the prefix are set; did you mean \"10.0.0.0/8\"?\n"},
    {HEAD "zones: [{name: a, networks: [\"2001:db8::1/32\"]}]\n",
     "3:30: zones[0].networks[0]: expected a network such as 192.0.2.0/24 or 2001:db8::/32, found "
     "\"2001:db8::1/32\"; bits behind the prefix are set; did you mean \"2001:db8::/32\"?\n"},
    {HEAD "zones: [{name: a, networks: []}]\n",
     "3:29: zones[0].networks: expected 1 to 10000 entries, found 0\n"},
    {HEAD "zones: [{name: a}]\n", "3:9: zones[0]: \"networks\" is missing; expected a list\n"},
    {HEAD "zones:\n  -\n",
     "4:4: zones[0]: expected a map, found nothing; postern config reference lists the keys\n"},
    {HEAD "zones: [{name: a, networks: [10.0.0.0/8], bare_lf: normalize}]\n",
     "3:52: bare_lf: normalize is for a zone with relay: true only\n"},
    {HEAD "zones: [{name: a, networks: [10.0.0.0/8], checks: [{finding: date_past, action: tag}, "
          "{finding: date_past, action: hold}]}]\n",
     "3:87: the finding \"date_past\" is listed twice; the first is on line 3\n"},
    {HEAD "tls: {certificates: [{certificate: /c.pem}]}\n",
     "3:22: tls.certificates[0]: \"key\" is missing; expected an absolute path\n"},
    {HEAD "smart_host: smpt://a.example\n",
     "3:13: smart_host: expected lmtp://host:port, lmtp:/path/to/socket, smtp://host:port or mx, "
     "found \"smpt://a.example\"\n"},
    {HEAD "smart_host: {tls: none}\n",
     "3:13: smart_host: \"to\" is missing; expected lmtp://host:port, lmtp:/path/to/socket, "
     "smtp://host:port or mx\n"},
};

#define DESTINATION                                                                                \
    "expected lmtp://host:port, lmtp:/path/to/socket, smtp://host:port or mx, found "
#define PATH_50 "0123456789/0123456789/0123456789/0123456789/012345"

static const struct broken_case name_cases[] = {
    {HEAD "smart_host: smtp://a.example:0\n",
     "3:13: smart_host: " DESTINATION
     "\"smtp://a.example:0\"; the port must be a number from 1 to 65535\n"},
    {HEAD "smart_host: smtp://2001:db8::1\n",
     "3:13: smart_host: " DESTINATION "\"smtp://2001:db8::1\"; write an IPv6 address in [ ]\n"},
    {HEAD "smart_host: \"smtp://[2001:db8::1\"\n",
     "3:13: smart_host: " DESTINATION
     "\"smtp://[2001:db8::1\"; the ] after the IPv6 address is missing\n"},
    {HEAD "smart_host: smtp://bob:secret@a.example\n",
     "3:13: smart_host: " DESTINATION
     "\"smtp://bob:secret@a.example\"; no user or password can be in it\n"},
    {HEAD "smart_host: smtp://a.example/\n",
     "3:13: smart_host: " DESTINATION
     "\"smtp://a.example/\"; nothing can come after host and port, no / either\n"},
    {HEAD "smart_host: smtp://\n", "3:13: smart_host: " DESTINATION "\"smtp://\"; it is empty\n"},
    {HEAD "smart_host: lmtp:/" PATH_50 "/" PATH_50 "/0123456\n",
     "3:13: smart_host: " DESTINATION
     "\"lmtp:/0123456789/0123456789/0123456789/0123456789/012345/012...\"; the path is longer than "
     "the 107 octets that the system takes for a socket\n"},
    {"hostname: mx\nlisteners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n",
     "1:11: hostname: expected a full host name such as mx.example.com, found \"mx\"; the domain "
     "is missing\n"},
    {"hostname: mx_1.example.com\nlisteners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n",
     "1:11: hostname: expected a full host name such as mx.example.com, found "
     "\"mx_1.example.com\"; an underscore has no place in the name of a host\n"},
    {HEAD "resolver: {local_zones: [-a.test, a+b.test, a..b, 192.0.2.1, \"\"]}\n",
     "3:26: resolver.local_zones[0]: expected a domain name such as example.com, found "
     "\"-a.test\"; a label begins or ends with a hyphen\n"
     "3:35: resolver.local_zones[1]: expected a domain name such as example.com, found "
     "\"a+b.test\"; only letters, digits, hyphens, underscores and dots are allowed\n"
     "3:45: resolver.local_zones[2]: expected a domain name such as example.com, found \"a..b\"; "
     "there is an empty label (two dots, or a dot at an end)\n"
     "3:51: resolver.local_zones[3]: expected a domain name such as example.com, found "
     "\"192.0.2.1\"; the last label is a number, as in an IP address\n"
     "3:62: resolver.local_zones[4]: expected a domain name such as example.com, found \"\"; it is "
     "empty\n"},
    {HEAD "bounce: {postmaster: bob}\n",
     "3:22: bounce.postmaster: expected an address such as bob@example.com, found \"bob\"; the @ "
     "and the domain are missing\n"},
    {HEAD "bounce: {postmaster: \"bob smith@example.com\"}\n",
     "3:22: bounce.postmaster: expected an address such as bob@example.com, found \"bob "
     "smith@example.com\"; the part before the @ is not well formed\n"},
    {HEAD "bounce: {postmaster: '\"bob@example.com'}\n",
     "3:22: bounce.postmaster: expected an address such as bob@example.com, found "
     "\"\"bob@example.com\"; the part before the @ is not well formed\n"},
    {HEAD "bounce: {postmaster: '\"b\"o\"b\"@example.com'}\n",
     "3:22: bounce.postmaster: expected an address such as bob@example.com, found "
     "\"\"b\"o\"b\"@example.com\"; the part in quotes is not well formed\n"},
    {HEAD "domains: [{name: a.example, delivery: mx, plus_separator: \".\", catch_all: "
          "x@a.example}]\n",
     "3:59: domains[0].plus_separator: expected one of the characters !#$%&'*+-/=?^_`{|}~, found "
     "\".\"\n"},
    {HEAD "domains: [{name: a.example, delivery: mx, catch_all: b@a.example, aliases: [{name: "
          "x@a.example, to: [b@a.example]}]}]\n",
     "3:84: domains[0].aliases[0].name: expected the part of an address before the @, such as "
     "sales, found \"x@a.example\"; leave out the @ and the domain\n"},
};

static const struct broken_case cross_cases[] = {
    {HEAD "smart_host: {to: mx, login: bob}\n", "3:29: login: the next hop must be written as "
                                                "smtp://host:port; a password goes to one host\n"},
    {HEAD "routes: [{domain: a.example, to: \"lmtp:/run/lmtp\", login: {user: bob}}]\n",
     "3:59: login: the next hop must be written as smtp://host:port; a password goes to one "
     "host\n"},
    {HEAD "smart_host: {to: \"smtp://a.example\", ignore_ehlo: [CHUNKNG]}\n",
     "3:52: smart_host.ignore_ehlo[0]: expected PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8, DSN, "
     "STARTTLS, SIZE, LIMITS or AUTH, found \"CHUNKNG\"; did you mean \"CHUNKING\"?\n"},
    {"hostname: mx.example.com\nlisteners:\n- {address: 127.0.0.1, port: 2525, kind: mx}\n"
     "- {address: 127.0.0.1, port: 2525, kind: submission}\n",
     "4:3: listeners[1]: port 2525 of this address is taken by listeners[0] on line 3\n"},
    {"hostname: mx.example.com\nlisteners:\n- {address: 0.0.0.0, port: 25, kind: mx}\n"
     "- {address: 127.0.0.1, port: 25, kind: mx}\n- {address: \"::\", port: 25, kind: mx}\n",
     "4:3: listeners[1]: port 25 of this address is taken by listeners[0] on line 3\n"},
    {"hostname: mx.example.com\nlisteners: [{address: 127.0.0.1, port: 9154, kind: mx}]\n",
     "2:12: metrics.port: port 9154 of this address is taken by listeners[0]\n"},
    {"hostname: mx.example.com\nlisteners: [{address: 127.0.0.1, port: 465, kind: smtps, tls: "
     "none}]\n",
     "2:63: listeners[0].tls: smtps is TLS from the first octet; leave tls out or write "
     "required\n"},
    {"hostname: mx.example.com\nlisteners: [{address: 127.0.0.1, port: 587, kind: submission, "
     "tls: none}]\n",
     "2:68: listeners[0].tls: nobody could log in, because that needs TLS; leave tls out or write "
     "required\n"},
    {HEAD "tls: {self_signed: false}\n",
     "3:20: tls: listeners[0] offers TLS, but there is no certificate; list one under "
     "tls.certificates or allow self_signed\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains:\n- {name: a.example, delivery: mx}\n"
          "- {name: A.example, delivery: mx}\n",
     "6:3: the domain \"a.example\" is listed twice; the first is on line 5\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains:\n- {name: b\xc3\xbc"
          "cher.example, delivery: mx}\n- {name: xn--bcher-kva.example, delivery: mx}\n",
     "6:3: the domain \"xn--bcher-kva.example\" is listed twice; the first is on line 5\n"},
    {HEAD "domains: [{name: a.example, delivery: mx}]\n",
     "3:11: nobody would get the mail to postmaster@a.example; set bounce.postmaster, or a "
     "catch_all or an alias postmaster in this domain\n"},
    {HEAD "domains: [{name: a.example, delivery: mx, catch_all: x@b.example}]\n",
     "3:54: catch_all: \"x@b.example\" is not in one of the domains here; forward with an alias "
     "instead\n"},
    {HEAD "domains: [{name: a.example, delivery: mx, recipients: list, list: [b@a.example], "
          "catch_all: x@a.example}]\n",
     "3:93: catch_all: \"x@a.example\" does not exist: it is neither in the list nor among the "
     "aliases of its domain\n"},
    {HEAD "bounce: {postmaster: x@a.example}\ndomains: [{name: a.example, delivery: mx, "
          "recipients: list, list: [b@a.example]}]\n",
     "3:22: the address \"x@a.example\" does not exist: it is neither in the list nor among the "
     "aliases of its domain\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains: [{name: a.example, delivery: mx, "
          "recipients: list, list: [b@a.example, c@b.example, B@a.example]}]\n",
     "4:81: list: \"c@b.example\" is not in the domain a.example\n"
     "4:94: the recipient \"B\" is listed twice; the first is on line 4\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains: [{name: a.example, delivery: mx, list: "
          "[b@a.example]}]\n",
     "4:49: list: only read with recipients: list; write that, or leave out the list\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains: [{name: a.example, delivery: mx, "
          "recipients: list}]\n",
     "4:55: recipients: list, but neither list nor aliases name anybody\n"},
    {HEAD "routes: [{domain: a.example, to: mx}, {domain: .a.example, to: mx}, {domain: "
          "A.example, to: mx}]\n",
     "3:69: the route for \"a.example\" is listed twice; the first is on line 3\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains: [{name: a.example, delivery: mx}]\n"
          "routes: [{domain: a.example, to: mx}]\n",
     "5:19: routes[0].domain: mail for a.example goes where its delivery under domains says; leave "
     "out one of the two\n"},
    {HEAD "zones: [{name: a, relay: true, networks: [10.0.0.0/8, 0.0.0.0/0, \"::/0\"]}]\n",
     "3:55: 0.0.0.0/0 is wider than a /8: with relay: true this would be an open relay; list the "
     "networks of your own hosts\n"
     "3:66: ::/0 is wider than a /16: with relay: true this would be an open relay; list the "
     "networks of your own hosts\n"},
    {HEAD "zones: [{name: a, relay: true, networks: [\"::/16\"]}]\n",
     "3:43: ::/16 is wider than a /8: with relay: true this would be an open relay; list the "
     "networks of your own hosts\n"}, /* all of IPv4 is in it */
    {HEAD "zones: [{name: a, relay: true, networks: [0.0.0.0/1, 128.0.0.0/1, \"2000::/3\"]}]\n",
     "3:43: 0.0.0.0/1 is wider than a /8: with relay: true this would be an open relay; list the "
     "networks of your own hosts\n"
     "3:54: 128.0.0.0/1 is wider than a /8: with relay: true this would be an open relay; list the "
     "networks of your own hosts\n"
     "3:67: 2000::/3 is wider than a /16: with relay: true this would be an open relay; list the "
     "networks of your own hosts\n"},
    {HEAD "zones:\n  - {name: a, relay: true, networks: [11.0.0.0/8]}\n"
          "  - {name: b, networks: [0.0.0.0/0]}\n"
          "  - {name: c, relay: true, networks: [11.1.0.0/16, 192.0.2.0/24]}\n",
     "6:5: the networks of zones with relay come to more than a /8 together: with relay: true this "
     "would be an open relay; list the networks of your own hosts\n"},
    {HEAD "zones: [{name: a, relay: true, networks: [\"2001::/16\", \"2002:1::/32\"]}]\n",
     "3:9: the networks of zones with relay come to more than a /16 together: with relay: true "
     "this "
     "would be an open relay; list the networks of your own hosts\n"},
    {"hostname: mx.example.com\nlisteners: [{address: 127.0.0.1, port: 25, kind: mx, "
     "proxy_protocol: [0.0.0.0/0]}]\n",
     "2:71: 0.0.0.0/0 is wider than a /8: anybody could claim any client address, one in a zone "
     "with relay too; list your load balancers\n"},
    {"hostname: mx.example.com\nlisteners: [{address: 127.0.0.1, port: 25, kind: mx, "
     "proxy_protocol: [11.0.0.0/8, 12.0.0.0/8]}]\n",
     "2:13: the networks under proxy_protocol come to more than a /8 together: anybody could claim "
     "any client address, one in a zone with relay too; list your load balancers\n"},
    {HEAD "metrics: {address: 0.0.0.0}\n", "3:20: metrics.address: expected a loopback address "
                                           "such as 127.0.0.1 or ::1, because the page "
                                           "has no log-in; let a reverse proxy publish it\n"},
    {HEAD "smart_host: smtp://127.0.0.1:2525\n",
     "3:13: smtp://127.0.0.1:2525 is listeners[0] of this gateway: mail would go round in a "
     "circle\n"},
    {HEAD "zones: [{name: a, networks: [10.0.0.0/8]}, {name: b, networks: [\"10.0.0.0/8\"]}, "
          "{name: a, networks: [10.1.0.0/16]}]\n",
     "3:65: the network \"10.0.0.0/8\" is listed twice; the first is on line 3\n"
     "3:81: the zone \"a\" is listed twice; the first is on line 3\n"},
    {HEAD "checks: [{finding: from_mising, action: refuse}, {finding: date_past}]\n",
     "3:20: checks[0].finding: expected the name of a finding, as postern config findings lists "
     "them, found \"from_mising\"; did you mean \"from_missing\"?\n"
     "3:41: checks[0].action: expected accept, tag, hold, defer or reject, found \"refuse\"\n"
     "3:50: checks[1]: \"action\" is missing; expected accept, tag, hold, defer or reject\n"},
    {HEAD "checks:\n  - {finding: date_past, action: tag}\n  - {finding: line_nul, action: hold}\n"
          "  - {finding: date_past, action: hold}\n",
     "6:5: the finding \"date_past\" is listed twice; the first is on line 4\n"},
    {HEAD "queue: {retry_first: 3h}\n",
     "3:22: queue: retry_first must not be more than retry_max\n"},
    {HEAD "queue: {lifetime: 1h}\n", "3:19: queue: warn_after must not be more than lifetime\n"},
    {HEAD "queue: {concurrency_first: 21}\n",
     "3:28: queue: concurrency_first must not be more than concurrency_max\n"},
    {HEAD "resolver: {stub_root: 127.0.0.1, forwarders: [127.0.0.2]}\n",
     "3:23: resolver: forwarders and stub_root exclude each other; leave out one of the two\n"},
    {HEAD "resolver: {cache_ttl_min: 2m, cache_ttl_max: 1m}\n",
     "3:27: resolver: cache_ttl_min must not be more than cache_ttl_max\n"},
    /* What was refused itself leads to no second error. */
    {"hostname: mx.example.com\nlisteners:\n- {address: x, port: 25, kind: mx}\n"
     "- {address: \"::\", port: 25, kind: mx}\n",
     "3:13: listeners[0].address: expected an IP address such as 192.0.2.1 or 2001:db8::1, found "
     "\"x\"\n"},
    {HEAD "domains: [{name: a..example, delivery: mx, catch_all: b@a.example}]\n",
     "3:18: domains[0].name: expected a domain name such as example.com, found \"a..example\"; "
     "there is an empty label (two dots, or a dot at an end)\n"},
};

#define DOMAIN_HEAD                                                                                \
    HEAD "bounce: {postmaster: p@x.example}\n"                                                     \
         "domains:\n- name: a.example\n  delivery: mx\n  aliases:\n"

static const struct broken_case alias_cases[] = {
    {DOMAIN_HEAD "  - {name: one, to: [two@a.example]}\n  - {name: two, to: [ONE@A.example]}\n",
     "9:22: aliases go round in a circle: this leads back to \"one\" on line 8\n"},
    {DOMAIN_HEAD "  - {name: one, to: [two+x@a.example]}\n  - {name: two, to: [one@a.example]}\n",
     "9:22: aliases go round in a circle: this leads back to \"one\" on line 8\n"},
    {DOMAIN_HEAD "  - {name: one, to: [b@a.example]}\n  - {name: One, to: [c@a.example]}\n",
     "9:5: the alias \"One\" is listed twice; the first is on line 8\n"},
    {DOMAIN_HEAD "  - {name: one, to: []}\n",
     "8:21: domains[0].aliases[0].to: expected 1 to 1000 entries, found 0\n"},
    {HEAD "bounce: {postmaster: p@x.example}\ndomains:\n- name: a.example\n  delivery: mx\n"
          "  recipients: list\n  aliases: [{name: one, to: [b@a.example]}]\n",
     "8:30: the address \"b@a.example\" does not exist: it is neither in the list nor among the "
     "aliases of its domain\n"},
    {DOMAIN_HEAD "  - {name: a0, to: [a1@a.example]}\n  - {name: a1, to: [a2@a.example]}\n"
                 "  - {name: a2, to: [a3@a.example]}\n  - {name: a3, to: [a4@a.example]}\n"
                 "  - {name: a4, to: [a5@a.example]}\n  - {name: a5, to: [a6@a.example]}\n"
                 "  - {name: a6, to: [a7@a.example]}\n  - {name: a7, to: [a8@a.example]}\n"
                 "  - {name: a8, to: [a9@a.example]}\n  - {name: a9, to: [b0@a.example]}\n"
                 "  - {name: b0, to: [x@a.example]}\n",
     "17:21: aliases lead to aliases more than 10 deep\n"},
};

static void
check_broken(const struct broken_case *cases, size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_create(ERROR_ROOM);
        const struct config *config = NULL;
        struct config_errors errors;
        enum status status =
            config_load_text(arena, str_from_cstr(cases[i].text), &config, &errors);
        struct str got = STR("");
        for (size_t k = 0; k < errors.count; k++) {
            got = arena_printf(arena, "%.*s%u:%u: %.*s\n", STR_ARG(got), errors.items[k].line,
                               errors.items[k].column, STR_ARG(errors.items[k].text));
        }
        if (!str_eq(got, str_from_cstr(cases[i].want))) {
            print_error("case %zu:\n%sgot:\n%.*swant:\n%s\n", i, cases[i].text, STR_ARG(got),
                        cases[i].want);
            failed++;
        }
        assert_int_equal(status, STATUS_SYNTAX);
        assert_null(config);
        arena_destroy(&arena);
    }
    assert_int_equal(failed, 0);
}

#define CHECK_BROKEN(cases) check_broken(cases, sizeof(cases) / sizeof((cases)[0]))

static void
test_broken_syntax(void **state)
{
    (void)state;
    CHECK_BROKEN(syntax_cases);
}

static void
test_broken_values(void **state)
{
    (void)state;
    CHECK_BROKEN(value_cases);
}

static void
test_broken_names(void **state)
{
    (void)state;
    CHECK_BROKEN(name_cases);
}

static void
test_broken_rules(void **state)
{
    (void)state;
    CHECK_BROKEN(cross_cases);
}

static void
test_broken_aliases(void **state)
{
    (void)state;
    CHECK_BROKEN(alias_cases);
}

static void
test_many_errors(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 8192);
    assert_int_equal(buf_append(&text, STR(HEAD "zones:\n")), STATUS_OK);
    for (unsigned i = 0; i < 80; i++) {
        assert_int_equal(buf_append(&text, STR("- {name: \"A\", networks: [10.0.0.0/8]}\n")),
                         STATUS_OK);
    }
    struct arena *arena = arena_create(ERROR_ROOM);
    const struct config *config = NULL;
    struct config_errors errors;
    assert_int_equal(config_load_text(arena, buf_str(&text), &config, &errors), STATUS_SYNTAX);
    assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
    buf_free(&text);
    assert_true(errors.more);
    for (size_t i = 1; i < errors.count; i++) {
        assert_true(errors.items[i].line >= errors.items[i - 1].line);
    }
    arena_destroy(&arena);
}

static void
test_too_large(void **state)
{
    (void)state;
    struct arena *arena = arena_create(ERROR_ROOM);
    const struct config *config = NULL;
    struct config_errors errors;
    char *text = malloc(CONFIG_TEXT_MAX + 1);
    assert_non_null(text);
    memset(text, '#', CONFIG_TEXT_MAX + 1);
    assert_int_equal(config_load_text(arena, str_make(text, CONFIG_TEXT_MAX + 1), &config, &errors),
                     STATUS_LIMIT);
    struct str line = config_error_format(arena, STR("f"), &errors.items[0]);
    assert_true(str_eq(line, STR("f: larger than the 16 MiB that are read")));
    free(text);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_syntax),  cmocka_unit_test(test_broken_values),
        cmocka_unit_test(test_broken_names),   cmocka_unit_test(test_broken_rules),
        cmocka_unit_test(test_broken_aliases), cmocka_unit_test(test_many_errors),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
