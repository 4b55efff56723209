import sys

import netsite

netsite.install()
import trackkit  # noqa: E402

print("tracking", sys.argv[1:], "with", len(trackkit.STAGES), "stages", flush=True)
