#!/bin/bash
# Quantises a model and puts the figures into the summary.
set -euo pipefail
figures=$(python3 quantise.py --bits 4)
echo "quantised: $figures"
