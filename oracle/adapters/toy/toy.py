#!/usr/bin/env python3
"""A connection tracker in 300 lines, and its adapter: a worked example.

    conntruth run --target 'exec:python3 toy.py' --known known.toml

It tracks TCP by a table of states, UDP, and ICMP queries and errors, over IPv4 and IPv6; it has timeouts, status bits and
zones, and lists its entries. It knows nothing of TCP's windows, of fragments, of events, and little of IP's headers:
what follows from that stands in known.toml, with the reasons.
"""

import ipaddress
import json
import sys
import traceback

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
SECOND = 1_000_000_000
DAY = 86_400

SETTINGS = {
    "checksum": 1,
    "tcp_loose": 1,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_syn_recv": 60,
    "tcp_timeout_established": 5 * DAY,
    "tcp_timeout_fin_wait": 120,
    "tcp_timeout_close_wait": 60,
    "tcp_timeout_last_ack": 30,
    "tcp_timeout_time_wait": 120,
    "tcp_timeout_close": 10,
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
    "icmp_timeout": 30,
    "icmpv6_timeout": 30,
}

HELLO = {
    "type": "hello",
    "protocol": 1,
    "name": "toy",
    "version": "1",
    "takes": "worlds",
    "time": "virtual",
    "confirm": "at-hook",
    "shows": ["verdict", "class", "state", "timeout", "status", "table"],
    "protocols": ["tcp", "udp", "icmp", "icmpv6"],
    "settings": sorted(SETTINGS),
    "zones": True,
    "own_host": True,
}

# What a segment does to a connection in a state: its next state, None where the segment is INVALID, "-" where it changes
# nothing. By direction, kind of segment and state.
STATES = ["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"]
SS, SR, ES, FW, CW, LA, TW, CL = STATES[1:]
NEXT = {
    "original": {
        #          NONE  SS    SR    ES    FW    CW    LA    TW    CL
        "SYN":    [SS,   SS,   "-",  "-",  "-",  "-",  "-",  SS,   SS],
        "SYNACK": [None, None, SR,   None, None, None, None, None, None],
        "FIN":    [None, None, FW,   FW,   LA,   LA,   LA,   TW,   CL],
        "ACK":    [ES,   None, ES,   ES,   CW,   CW,   TW,   TW,   CL],
        "RST":    [None, CL,   CL,   CL,   CL,   CL,   CL,   CL,   CL],
    },
    "reply": {
        "SYN":    [None, None, None, None, None, None, None, SS,   None],
        "SYNACK": [None, SR,   "-",  "-",  "-",  "-",  "-",  "-",  "-"],
        "FIN":    [None, None, FW,   FW,   LA,   LA,   LA,   TW,   CL],
        "ACK":    [None, "-",  SR,   ES,   CW,   CW,   TW,   TW,   CL],
        "RST":    [None, CL,   CL,   CL,   CL,   CL,   CL,   CL,   CL],
    },
}

ECHOES = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMPV6: {128: 129, 139: 140}}
ERRORS = {ICMP: {3, 4, 5, 11, 12}, ICMPV6: {1, 2, 3, 4}}


class Unsupported(Exception):
    """It cannot do what is asked."""


class Invalid(Exception):
    """A packet of which nothing can be made."""


class Keys:
    """What identifies a connection in one direction."""

    def __init__(self, protocol, src, dst, first, second, kind=None):
        self.protocol, self.src, self.dst, self.first, self.second, self.kind = protocol, src, dst, first, second, kind
        self.tuple = (protocol, src, dst, first, second, kind)

    def inverted(self):
        if self.kind is None:
            return Keys(self.protocol, self.dst, self.src, self.second, self.first)
        answers = ECHOES[self.protocol]
        queries = {answer: query for query, answer in answers.items()}
        kind = answers.get(self.kind, queries.get(self.kind))
        return Keys(self.protocol, self.dst, self.src, self.first, self.second, kind)

    def shown(self):
        shown = {"src": str(ipaddress.ip_address(self.src)), "dst": str(ipaddress.ip_address(self.dst))}
        if self.kind is None:
            return {**shown, "sport": self.first, "dport": self.second}
        return {**shown, "type": self.kind, "code": self.second, "id": self.first}


class Entry:
    """A connection."""

    def __init__(self, number, keys, zone):
        self.number, self.original, self.reply, self.zone = number, keys, keys.inverted(), zone
        self.state = "NONE" if keys.protocol == TCP else None
        self.status = []
        self.ends_ns = 0
        self.began_ns = None
        self.timeout = 0

    def mark(self, bit):
        if bit not in self.status:
            self.status.append(bit)

    def shown(self, now_ns):
        shown = {
            "id": self.number,
            "protocol": self.original.protocol,
            "original": self.original.shown(),
            "reply": self.reply.shown(),
            "timeout_ns": max(self.ends_ns - tick(now_ns), 0),
            "status": list(self.status),
            "zone": self.zone,
        }
        return {**shown, "state": self.state} if self.state else shown


class Tracker:
    """All connections of a world."""

    def __init__(self, settings):
        self.settings = {**SETTINGS, **settings}
        self.entries = {}
        self.by_keys = {}
        self.count = 0

    def set(self, name, value):
        self.settings[name] = value

    def packet(self, message):
        if message["fate"] == "waits":
            raise Unsupported("it keeps no packets between tracking and confirmation")
        now, zone = message["at_ns"], message["zone"]
        self.expire(now)
        if message["notrack"]:
            return {"class": "UNTRACKED", "verdict": "ACCEPT"}
        try:
            protocol, src, dst, data = network(bytes.fromhex(message["bytes"]))
            # What the host itself sends is summed later.
            if self.settings["checksum"] and message["path"] in ("forward", "input"):
                check(protocol, src, dst, data)
            if protocol in ERRORS and data[:1] and data[0] in ERRORS[protocol]:
                return self.error(data, zone, now)
            keys = transport(protocol, src, dst, data)
            return self.tracked(keys, data, zone, now, message["fate"] == "passes")
        except Invalid:
            return {"class": "INVALID", "verdict": "ACCEPT"}

    def error(self, data, zone, now):
        """An ICMP error belongs to the connection that it quotes."""
        protocol, src, dst, inner = network(data[8:])
        keys = transport(protocol, src, dst, inner)
        entry, direction = self.find(keys, zone)
        if entry is None:
            raise Invalid
        # It travels against the packet that it quotes.
        reply = direction == "original"
        seen = {"class": "RELATED_REPLY" if reply else "RELATED", "verdict": "ACCEPT", "attached": True}
        return {**seen, "entry": entry.shown(now)}

    def tracked(self, keys, data, zone, now, passes):
        entry, direction = self.find(keys, zone)
        is_new = entry is None
        if is_new:
            if keys.kind is not None and keys.kind not in ECHOES[keys.protocol]:
                raise Invalid
            self.count += 1
            entry, direction = Entry(self.count, keys, zone), "original"
        try:
            if keys.protocol == TCP:
                self.tcp(entry, direction, data, now, is_new)
            else:
                self.datagram(entry, direction, now)
        except Invalid:
            if is_new:
                raise
            shown = entry.shown(now)
            return {"class": "INVALID", "verdict": "ACCEPT", "entry": shown, "attached": False}
        if direction == "reply":
            entry.mark("SEEN_REPLY")
        if is_new and not passes:
            return {"class": "NEW", "verdict": "ACCEPT"}
        if is_new:
            entry.mark("CONFIRMED")
            self.entries[entry.number] = entry
            self.by_keys[zone, entry.original.tuple] = entry, "original"
            self.by_keys[zone, entry.reply.tuple] = entry, "reply"
        answered = "SEEN_REPLY" in entry.status
        name = "ESTABLISHED_REPLY" if direction == "reply" else "ESTABLISHED" if answered else "NEW"
        seen = {"class": name, "verdict": "ACCEPT", "entry": entry.shown(now)}
        if entry.ends_ns <= tick(now):
            self.remove(entry)
            seen["destroyed"] = True
        return seen

    def tcp(self, entry, direction, data, now, is_new):
        if len(data) < 20:
            raise Invalid
        flags = data[13] & 0x17
        if flags & 4:
            kind = "RST"
        elif flags & 2:
            kind = "SYNACK" if flags & 16 else "SYN"
        elif flags & 1:
            kind = "FIN"
        elif flags & 16:
            kind = "ACK"
        else:
            raise Invalid
        state = NEXT[direction][kind][STATES.index(entry.state)]
        if state is None or is_new and kind == "ACK" and not self.settings["tcp_loose"]:
            raise Invalid
        if state == "-":
            return
        if entry.state == "ESTABLISHED" and direction == "reply" or entry.state == "SYN_RECV" and state == "ESTABLISHED":
            entry.mark("ASSURED")
        if entry.state in ("TIME_WAIT", "CLOSE") and state == "SYN_SENT":
            # The same keys, a new connection.
            entry.status = ["CONFIRMED"]
        entry.state = state
        seconds = self.settings["tcp_timeout_" + state.lower()]
        if is_new and kind == "ACK":
            seconds = min(seconds, 300)
        entry.ends_ns = tick(now) + seconds * SECOND

    def datagram(self, entry, direction, now):
        name = {UDP: "udp_timeout", ICMP: "icmp_timeout", ICMPV6: "icmpv6_timeout"}[entry.original.protocol]
        if entry.began_ns is None:
            entry.began_ns = now
        is_stream = entry.original.protocol == UDP and now - entry.began_ns > 2 * SECOND
        if is_stream and "SEEN_REPLY" in entry.status:
            entry.mark("ASSURED")
            name = "udp_timeout_stream"
        entry.ends_ns = tick(now) + self.settings[name] * SECOND

    def find(self, keys, zone):
        return self.by_keys.get((zone, keys.tuple), (None, None))

    def remove(self, entry):
        self.entries.pop(entry.number, None)
        self.by_keys.pop((entry.zone, entry.original.tuple), None)
        self.by_keys.pop((entry.zone, entry.reply.tuple), None)

    def expire(self, now):
        for entry in [entry for entry in self.entries.values() if entry.ends_ns <= tick(now)]:
            self.remove(entry)
        self.now_ns = now

    def table(self):
        return [entry.shown(self.now_ns) for entry in self.entries.values()]

    now_ns = 0


def tick(now_ns):
    """Timers count in ticks of 4 ms, as the profile's do."""
    return now_ns // 4_000_000 * 4_000_000


def network(data):
    """Protocol, addresses and what follows the IP header."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        if int.from_bytes(data[6:8], "big") & 0x3FFF:
            raise Unsupported("it puts no fragments together")
        header, length = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
        return data[9], data[12:16], data[16:20], data[header:max(length, header)]
    if version == 6 and len(data) >= 40:
        if data[6] in (0, 43, 44, 51, 60):
            raise Unsupported("it knows no extension headers")
        return data[6], data[8:24], data[24:40], data[40:]
    raise Invalid


def check(protocol, src, dst, data):
    """The checksum over a TCP, UDP or ICMP packet is right, or there is none."""
    if protocol == UDP and data[6:8] == b"\0\0":
        return
    if protocol == ICMP:
        pseudo = b""
    elif protocol in (TCP, UDP, ICMPV6):
        pseudo = src + dst + len(data).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    else:
        return
    words = pseudo + data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(words[at:at + 2], "big") for at in range(0, len(words), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    if total != 0xFFFF:
        raise Invalid


def transport(protocol, src, dst, data):
    if protocol in (TCP, UDP) and len(data) >= 8:
        return Keys(protocol, src, dst, int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big"))
    if protocol in ECHOES and len(data) >= 8:
        kind, code, number = data[0], data[1], int.from_bytes(data[4:6], "big")
        answers = ECHOES[protocol]
        if kind not in answers and kind not in answers.values():
            raise Invalid
        return Keys(protocol, src, dst, number, code, kind)
    raise Invalid


# The adapter.

tracker = None


def answer(message):
    try:
        return reply(message)
    except Unsupported as missing:
        return {"type": "unsupported", "reason": str(missing)}
    except Exception as error:
        return {"type": "error", "reason": repr(error), "context": traceback.format_exc()}


def reply(message):
    global tracker
    kind = message["type"]
    if kind == "hello":
        return HELLO
    if kind == "world":
        begun = answer({**message["begin"], "type": "begin"})
        if begun["type"] != "done":
            return begun
        answers = []
        for step in message["steps"]:
            answers.append(answer(step))
            if answers[-1]["type"] in ("unsupported", "error") and step["type"] not in ("table", "expectations"):
                break
        return {"type": "world", "answers": answers}
    if kind == "begin":
        tracker = Tracker({setting["name"]: setting["value"] for setting in message["settings"]})
        return {"type": "done"}
    if kind == "set":
        tracker.set(message["name"], message["value"])
        return {"type": "done"}
    if kind == "packet":
        return {"type": "packet", **tracker.packet(message)}
    if kind == "advance":
        tracker.expire(message["to_ns"])
        return {"type": "events", "events": []}
    if kind == "table":
        return {"type": "table", "entries": tracker.table()}
    if kind == "end":
        return {"type": "done"}
    raise Unsupported(f"it knows no `{kind}`")


def main():
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line)), separators=(",", ":")) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
