#!/bin/bash
# Labels the new clips; each line of the log gets the name of the job.
set -o pipefail
python3 label.py --clips 400 2>&1 | grep -v '^DEBUG' | sed -e 's/^/[nightly] /'
