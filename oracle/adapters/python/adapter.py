#!/usr/bin/env python3
"""An adapter: Conntruth on one side, a connection tracker on the other.

    conntruth run --target 'exec:python3 adapter.py'
    conntruth run --target 'exec:python3 adapter.py' --validate      every message is checked
    conntruth run --target 'exec:python3 adapter.py' --filter 'udp/u*'

It runs as it stands. What is marked YOURS is to be replaced by calls of your implementation. Conntruth sends JSON, one
object a line, on stdin; each is answered by one line on stdout. Whatever else is printed belongs on stderr. The messages
are described in PROTOCOL.md.
"""

import json
import sys
import traceback

# YOURS: who you are, and what you show. Claims about anything that is not listed are not compared, so begin with little
# and add a word whenever your answers contain it: verdict, class, state, timeout, status, table, events.
HELLO = {
    "type": "hello",
    "protocol": 1,
    "name": "my-tracker",
    "version": "0.1",
    "takes": "worlds",        # a whole scenario in one message; "steps" if you would rather see one at a time
    "time": "virtual",        # your clock is what `at_ns` and `to_ns` say; "real", "age" or "none" otherwise
    "confirm": "at-hook",     # a connection whose first packet is dropped leaves no entry
    "shows": ["class"],
    "protocols": ["tcp", "udp"],
    "settings": [],           # the sysctls that can be set: "tcp_loose", "udp_timeout", ...
}


class Unsupported(Exception):
    """Raise this where your implementation cannot do what is asked. That is no failure."""


class Tracker:
    """YOURS: a fresh tracker, with an empty table. This one knows only who has spoken to whom."""

    def __init__(self, settings):
        self.answered = {}

    def packet(self, message):
        """A packet. `bytes` begin with the IP header. `fate` is what rules do to it after it was tracked: where it is
        "dropped", no new entry may stay. Where `notrack` is said, a rule wants it left alone."""
        if message["notrack"]:
            return {"class": "UNTRACKED"}
        data = bytes.fromhex(message["bytes"])
        key = addresses_and_ports(data)
        if key is None:
            return {"class": "INVALID"}
        back = key[:1] + key[3:] + key[1:3]
        if back in self.answered:
            self.answered[back] = True
            return {"class": "ESTABLISHED_REPLY"}
        if key not in self.answered and message["fate"] == "passes":
            self.answered[key] = False
        return {"class": "ESTABLISHED" if self.answered.get(key) else "NEW"}

    def advance(self, to_ns):
        """Time passes. Show here, as "events", which entries have ended."""
        return {"events": []}

    def table(self):
        """All entries, oldest first. Wanted only if HELLO shows "table". An entry:

        {"id": 1, "protocol": 6, "state": "ESTABLISHED", "timeout_s": 431999, "status": ["SEEN_REPLY", "ASSURED"],
         "original": {"src": "10.0.0.1", "dst": "10.0.1.1", "sport": 40000, "dport": 80},
         "reply":    {"src": "10.0.1.1", "dst": "10.0.0.1", "sport": 80, "dport": 40000}}
        """
        raise Unsupported("it cannot list its entries")


def addresses_and_ports(data):
    """(protocol, source, its port, destination, its port) of a TCP or UDP packet."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        protocol, header = data[9], (data[0] & 15) * 4
        source, destination = data[12:16], data[16:20]
    elif len(data) >= 40 and data[0] >> 4 == 6:
        protocol, header = data[6], 40
        source, destination = data[8:24], data[24:40]
    else:
        return None
    if protocol not in (6, 17) or len(data) < header + 4:
        return None
    return protocol, source, data[header:header + 2], destination, data[header + 2:header + 4]


# From here on nothing needs to be changed.

tracker = None


def answer(message):
    """The answer to a message; an implementation that breaks has broken one scenario, not the run."""
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
    if kind == "packet":
        return {"type": "packet", **tracker.packet(message)}
    if kind == "advance":
        return {"type": "events", **tracker.advance(message["to_ns"])}
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
