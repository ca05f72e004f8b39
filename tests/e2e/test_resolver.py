"""The resolver role against a real name server: DNSSEC states, TCP, trust anchors that change."""

import time

import pytest

from lab.nameserver import Dns
from lab.process import wait_for
from lab.resolver import Resolver

LONG = "v=DKIM1; p=" + "A" * 3000


def settings(dns, **changes):
    return {**dns.upstream, "trust_anchors": [str(dns.anchor)], "timeout": "3s", **changes}


@pytest.fixture(scope="module")
def names(module_world):
    """A DNS with one zone for each way of being signed, and a resolver that trusts its root."""
    net = module_world.net
    dns = Dns(module_world.directory / "resolver-dns", net.fresh(), net.port("dns"), ttl=300,
              negative_ttl=30)
    for signing in ("good", "none", "bogus", "expired", "wrong-ds", "stripped"):
        dns.zone(f"{signing}.example", signing=signing).a("www", "192.0.2.1").mx(10, "www")
    good = dns.zone("good.example")
    good.cname("alias", "www").cname("far", "www.none.example.").cname("first", "alias")
    good.cname("loop", "pool").cname("pool", "loop").cname("lost", "nowhere.good.example.")
    good.txt("long", LONG).txt("short-lived", "x", ttl=2)
    dns.zone("dense.example", nsec3=True).a("www", "192.0.2.1")
    dns.start()
    module_world.later(dns.stop)
    return dns


@pytest.fixture(scope="module")
def resolver(names, module_world):
    made = Resolver(module_world.directory / "resolver", settings(names, cache_ttl_max="1m"))
    module_world.later(made.stop)
    return made


@pytest.fixture
def root(world):
    """A DNS whose root may change its keys, and a function that makes resolvers for it. They are
    given the anchor as it was at first, whatever becomes of the root."""
    directory = world.directory / world.name()
    dns = Dns(directory, world.net.fresh(), world.net.port("dns"), ttl=1, negative_ttl=1)
    dns.zone("signed.example").a("www", "192.0.2.1")
    dns.start()
    world.later(dns.stop)
    anchor = directory / "first.key"
    anchor.write_text(dns.anchor.read_text())

    def make(**changes):
        made = Resolver(directory / "resolver",
                        settings(dns, trust_anchors=[str(anchor)], **changes))
        world.later(made.stop)
        return made
    return dns, make


@pytest.mark.parametrize("name, kind, outcome, security", [
    ("www.good.example", "A", "answer", "secure"),
    ("good.example", "MX", "answer", "secure"),
    ("nowhere.good.example", "A", "nxdomain", "secure"),
    ("www.good.example", "MX", "nodata", "secure"),
    ("nowhere.dense.example", "A", "nxdomain", "secure"),
    ("www.dense.example", "AAAA", "nodata", "secure"),
    ("www.none.example", "A", "answer", "insecure"),
    ("nowhere.none.example", "A", "nxdomain", "insecure"),
    ("www.none.example", "MX", "nodata", "insecure"),
    ("www.bogus.example", "A", "servfail", "bogus"),
    ("www.expired.example", "A", "servfail", "bogus"),
    ("www.wrong-ds.example", "A", "servfail", "bogus"),
    ("www.stripped.example", "A", "servfail", "bogus"),
    ("alias.good.example", "A", "answer", "secure"),
    ("first.good.example", "A", "answer", "secure"),
    ("lost.good.example", "A", "nxdomain", "secure"),
    ("far.good.example", "A", "answer", "insecure"),     # the weakest step counts
    ("alias.good.example", "CNAME", "answer", "secure"),
    (".", "DNSKEY", "answer", "secure"),
    ("good.example", "DS", "answer", "secure"),
])
def test_an_answer_tells_how_much_it_is_worth(resolver, name, kind, outcome, security):
    answer = resolver.ask(name, kind)
    assert (answer["outcome"], answer["security"]) == (outcome, security), answer
    assert bool(answer["records"]) == (outcome == "answer")
    assert bool(answer["detail"]) == (security == "bogus")


def test_aliases_lead_to_the_canonical_name(resolver):
    assert resolver.ask("first.good.example")["canonical"] == "www.good.example"
    assert resolver.ask("far.good.example")["canonical"] == "www.none.example"
    assert resolver.ask("loop.good.example")["outcome"] in ("servfail", "nodata")


def test_the_time_to_live_counts_down_and_has_a_ceiling(resolver):
    first = resolver.ask("dense.example", "NS")["ttl"]
    assert first <= 60                                     # cache_ttl_max, not the zone's 300
    wait_for(lambda: resolver.ask("dense.example", "NS")["ttl"] < first, 5)
    assert resolver.ask("short-lived.good.example", "TXT")["ttl"] <= 2
    assert resolver.ask("not-there.good.example")["ttl"] <= 30


def test_a_long_answer_comes_over_tcp(resolver):
    answer = resolver.ask("long.good.example", "TXT")      # over the 1232 octets of EDNS
    assert (answer["outcome"], answer["security"]) == ("answer", "secure")
    assert bytes.fromhex(answer["records"][0])[1:12] == b"v=DKIM1; p="


def test_a_batch_answers_in_order(resolver):
    answers = resolver.batch(("www.good.example", "A"), ("www.bogus.example", "A"),
                             ("nowhere.good.example", "TXT"), ("www.none.example", "A"))
    assert [a["security"] for a in answers] == ["secure", "bogus", "secure", "insecure"]
    assert [a["outcome"] for a in answers] == ["answer", "servfail", "nxdomain", "answer"]


def test_silence_is_a_time_out_and_not_for_ever(root):
    dns, make = root
    resolver = make()
    assert resolver.ask("www.signed.example")["outcome"] == "answer"
    dns.stop()
    began = time.monotonic()
    answer = resolver.ask("other.silent.example")
    assert answer["outcome"] in ("timeout", "servfail"), answer
    assert time.monotonic() - began < 10
    dns.start()
    wait_for(lambda: resolver.ask("www.signed.example")["outcome"] == "answer", 30, step=0.5)


# -- does validation work? ---------------------------------------------------------------------

def test_validation_that_works_is_told(resolver):
    wait_for(lambda: resolver.metric("dns_validation_works") == 1)
    assert resolver.status()["warnings"] == []


def test_an_anchor_that_does_not_fit_is_told(names, world):
    wrong = world.directory / "wrong.key"
    wrong.write_text(". IN DS 1 13 2 " + "00" * 32 + "\n")
    resolver = Resolver(world.directory / world.name(),
                        settings(names, trust_anchors=[str(wrong)]))
    world.later(resolver.stop)
    warnings = wait_for(lambda: resolver.status()["warnings"])
    assert warnings[0].startswith("DNSSEC validation does not work: the SOA record of .: ")
    assert resolver.metric("dns_validation_works") == 0
    assert resolver.ask("www.good.example")["security"] == "bogus"
    resolver.reload(settings(names))                       # cannot read the file any more
    assert "restart Postern to change its anchors" in resolver.messages()


def test_status_tells_that_validation_does_not_work(world):
    running = world.gateway({"resolver": {"self_test": "peers.example"}}, users=())
    report = wait_for(lambda: (r := running.gateway.status())["warnings"] and r)
    assert any("DNSSEC validation does not work: the SOA record of peers.example.: the answer came "
               "without signatures" in warning for warning in report["warnings"]), report
    text = running.gateway.command("status", check=False).stdout
    assert "warning: DNSSEC validation does not work" in text
    fixed = {**running.gateway.configuration}
    fixed["resolver"] = {k: v for k, v in fixed["resolver"].items() if k != "self_test"}
    running.gateway.configure(fixed)
    running.gateway.command("reload")
    wait_for(lambda: "DNSSEC" not in str(running.gateway.status()["warnings"]))
    role = next(r for r in running.gateway.status()["roles"] if r["role"] == "resolver")
    assert role["metrics"]["dns_validation_works"] == 1


# -- RFC 5011 ----------------------------------------------------------------------------------

def test_a_root_changes_its_key(root):
    dns, make = root
    resolver = make(anchor_hold_down="3s")
    wait_for(lambda: resolver.metric("dns_validation_works") == 1)

    dns.add_key(".")
    dns.update()
    wait_for(lambda: resolver.metric("dns_anchor_keys_pending") == 1, 15)
    wait_for(lambda: resolver.metric("dns_anchor_keys_pending") == 0, 30)
    assert resolver.ask("www.signed.example")["security"] == "secure"

    dns.revoke_key(".")
    dns.update()
    wait_for(lambda: resolver.metric("dns_anchor_keys_revoked") == 1, 15)
    resolver.stop()
    dns.drop_key(".")                                      # only the new key is left
    dns.update()

    again = make(anchor_hold_down="3s")                    # with the anchor of the beginning
    assert again.ask("www.signed.example")["security"] == "secure"
    wait_for(lambda: again.metric("dns_validation_works") == 1)


def test_a_new_key_has_to_wait(root):
    dns, make = root
    resolver = make(anchor_hold_down="20s")
    wait_for(lambda: resolver.metric("dns_anchor_probes_total") > 0)
    dns.add_key(".")
    dns.update()
    wait_for(lambda: resolver.metric("dns_anchor_keys_pending") == 1, 20)
    dns.drop_key(".")                                      # somebody has come by the old key
    dns.update()
    resolver.stop()
    again = make(anchor_hold_down="20s")
    answer = again.ask("www.signed.example")
    assert (answer["outcome"], answer["security"]) == ("servfail", "bogus"), answer


def test_when_all_keys_are_revoked_nothing_is_secure(root):
    dns, make = root
    resolver = make(anchor_hold_down="3s")
    wait_for(lambda: resolver.metric("dns_anchor_probes_total") > 0)
    assert resolver.ask("www.signed.example")["security"] == "secure"
    dns.revoke_key(".")                                    # and there is no other one
    dns.update()
    wait_for(lambda: resolver.metric("dns_anchor_keys_revoked") == 1, 15)
    answer = resolver.ask("www.signed.example")
    assert (answer["outcome"], answer["security"]) == ("answer", "insecure"), answer
    warnings = wait_for(lambda: resolver.status()["warnings"])
    assert warnings[0].startswith("DNSSEC validation does not work")
