"""What both versions of the app have in common: page after page, then it stays open.

The place of a user interface is taken by one line of JSON for each page.
"""

import json
import sys
import time


def run(recognise):
    """`recognise(path)` returns how many words a page has, or None if it took too long."""
    begun = time.monotonic()
    for path in sys.argv[1:]:
        found = recognise(path)
        took = round(time.monotonic() - begun, 3)
        print(json.dumps({"page": path, "words": found, "at_s": took}), flush=True)
    # The user looks at the results. A web app would wait for the next request.
    sys.stdin.read()
