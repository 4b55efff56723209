import re

REFERENCE = re.compile(r"^((?:[a-z]+\s*)+)\[ref:(\d+)\]$")


class Rules:
    def __init__(self):
        self.counts = {"plain": 0, "reference": 0}

    def clean(self, line):
        def reference(text):
            return REFERENCE.match(text)

        found = reference(line)
        if found is None:
            self.counts["plain"] += 1
            return line
        self.counts["reference"] += 1
        return found.group(1).strip()
