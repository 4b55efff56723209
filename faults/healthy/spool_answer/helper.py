import json
import pathlib
import sys
import time

spool = pathlib.Path(sys.argv[1])
while not (spool / "end").exists():
    for request in sorted(spool.glob("*.in")):
        job = json.loads(request.read_text())
        request.unlink()
        time.sleep(job["seconds"])
        part = request.with_suffix(".part")
        part.write_text(json.dumps({"size": [side * 4 for side in job["size"]]}))
        part.rename(request.with_suffix(".out"))
    time.sleep(0.05)
