import asyncio
import sys

import numpy as np


async def tool(name, *args):
    proc = await asyncio.create_subprocess_exec(sys.executable, f"{name}.py", *args, stdout=asyncio.subprocess.PIPE)
    out, _ = await proc.communicate()
    return out.decode().split()


async def main():
    info, pages = await asyncio.gather(tool("modelinfo"), tool("prefetch", "weights.bin"))
    print("layers", info[0], "pages", pages[0])


if __name__ == "__main__":
    np.arange(1 << 18, dtype=np.float32).tofile("weights.bin")
    asyncio.run(main())
