#!/usr/bin/env bash
# Renders a sheet of samples and opens it in the viewer of the desktop.
set -euo pipefail
cd "$(dirname "$0")"
count=${1:-4}

python3 - "$count" <<'PY'
import pathlib
import random
import sys

count = int(sys.argv[1])
out = pathlib.Path("samples")
out.mkdir(exist_ok=True)
for number in range(count):
    rng = random.Random(number)
    pixels = bytes(rng.randrange(256) for _ in range(16 * 16 * 3))
    (out / f"{number:02}.ppm").write_bytes(b"P6\n16 16\n255\n" + pixels)
    print(f"sample {number + 1}/{count}")
PY

sheet=samples/sheet.ppm
{
    printf 'P6\n16 %d\n255\n' $((16 * count))
    for file in samples/[0-9]*.ppm; do
        tail -c 768 "$file"
    done
} >"$sheet"
echo "sheet: $(stat -c %s "$sheet") bytes"
xdg-open "$sheet"
echo "shown"
