# SPDX-License-Identifier: BSD-3-Clause
"""What several clients see of one conversation, byte for byte: the same steps against freshet and redis-server."""
import io


class Party:
    """One client of a conversation; keeps every byte that it was sent."""

    def __init__(self, client):
        self.client, self.seen, self.marks = client, b"", 0

    def say(self, words):
        """Sends a command and waits until it has been answered: a PING behind it comes back."""
        self.marks += 1
        mark = b"mark-%d" % self.marks
        self.client.raw(self.client.encode(*words) + self.client.encode("PING", mark))
        start, in_transaction = len(self.seen), (b"+OK\r\n+QUEUED\r\n", b"+QUEUED\r\n+QUEUED\r\n")
        while mark not in self.seen and not self.seen[start:].endswith(in_transaction):
            piece = self.client.socket.recv(1 << 16)
            assert piece, f"closed after {words}: {self.seen!r}"
            self.seen += piece

    def end(self):
        self.client.raw(self.client.encode("QUIT"))
        while piece := self.client.socket.recv(1 << 16):
            self.seen += piece
        return self.seen


def conversation(connect, script):
    """`script`: lines "<name> <word> ..."; a name ending in 3 speaks RESP3. Returns what each saw."""
    parties = {}
    for line in script.strip().splitlines():
        name, *words = line.split()
        if name not in parties:
            parties[name] = Party(connect(3 if name.endswith("3") else 2))
        parties[name].say([word.replace("_", " ") if word != "_" else "" for word in words])
    return {name: frames(party.end()) for name, party in parties.items()}


def frames(seen):
    """The top-level replies in `seen`; those of one message to several patterns sorted, for their order is
    that of a hash table in Redis."""
    found, file = [], io.BytesIO(seen)
    while frame := one_frame(file):
        found.append(frame)
    for start in range(len(found)):
        end = start
        while end < len(found) and b"\r\npmessage\r\n" in found[end] and found[end][:1] in b"*>":
            end += 1
        found[start:end] = sorted(found[start:end], key=lambda f: (f.split(b"\r\n")[6:], f))
    return found


def one_frame(file):
    line = file.readline()
    kind, rest = line[:1], line[1:-2]
    if kind in (b"$", b"=", b"!") and rest != b"-1":
        return line + file.read(int(rest) + 2)
    if kind in (b"*", b"~", b">", b"%") and rest != b"-1":
        count = int(rest) * (2 if kind == b"%" else 1)
        return line + b"".join(one_frame(file) for _ in range(count))
    return line
