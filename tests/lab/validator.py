"""Questions to libunbound, set up as Postern's resolver is: own root, own trust anchor."""

import ctypes
import ctypes.util

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "TLSA": 52}


class _Result(ctypes.Structure):
    _fields_ = [("qname", ctypes.c_char_p), ("qtype", ctypes.c_int), ("qclass", ctypes.c_int),
                ("data", ctypes.POINTER(ctypes.c_void_p)), ("len", ctypes.POINTER(ctypes.c_int)),
                ("canonname", ctypes.c_char_p), ("rcode", ctypes.c_int),
                ("answer_packet", ctypes.c_void_p), ("answer_len", ctypes.c_int),
                ("havedata", ctypes.c_int), ("nxdomain", ctypes.c_int), ("secure", ctypes.c_int),
                ("bogus", ctypes.c_int), ("why_bogus", ctypes.c_char_p),
                ("was_ratelimited", ctypes.c_int), ("ttl", ctypes.c_int)]


class Answer:
    """`status` is secure, insecure or bogus; `rdata` the records as they came over the wire."""

    def __init__(self, result):
        self.rcode, self.nxdomain = result.rcode, bool(result.nxdomain)
        self.status = "bogus" if result.bogus else "secure" if result.secure else "insecure"
        self.why = (result.why_bogus or b"").decode()
        self.rdata = []
        i = 0
        while result.havedata and result.data[i]:
            self.rdata.append(ctypes.string_at(result.data[i], result.len[i]))
            i += 1


class Validator:
    """A context of libunbound that trusts `anchor` and sends everything to `server`."""

    def __init__(self, server, anchor):
        self.lib = ctypes.CDLL(ctypes.util.find_library("unbound") or "libunbound.so.8")
        self.lib.ub_ctx_create.restype = ctypes.c_void_p
        self.lib.ub_strerror.restype = ctypes.c_char_p
        self.ctx = ctypes.c_void_p(self.lib.ub_ctx_create())
        self._do("ub_ctx_set_option", b"do-not-query-localhost:", b"no")
        self._do("ub_ctx_set_stub", b".", server.encode(), 0)
        self._do("ub_ctx_add_ta_file", str(anchor).encode())
        # libunbound answers these by itself. `local-zone: ... nodefault` is accepted as an option
        # but only has an effect from a file, so the zones are taken out instead; that settles the
        # context, and has to come last.
        for zone in (b"test.", b"127.in-addr.arpa."):
            self._do("ub_ctx_zone_remove", zone)

    def _do(self, function, *arguments):
        status = getattr(self.lib, function)(self.ctx, *arguments)
        if status != 0:
            raise OSError(f"{function}{arguments}: {self.lib.ub_strerror(status).decode()}")

    def ask(self, name, kind="A"):
        result = ctypes.POINTER(_Result)()
        self._do("ub_resolve", name.encode(), TYPES[kind], 1, ctypes.byref(result))
        try:
            return Answer(result.contents)
        finally:
            self.lib.ub_resolve_free(result)

    def close(self):
        self.lib.ub_ctx_delete(self.ctx)
