import asyncio
import concurrent.futures as cf
import logging
import os
import sys

import tools

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
log = logging.getLogger("agent")


class Agent:
    """A fresh pool for every turn, so that one slow tool cannot take the threads of the next turn."""

    async def turn(self, n, query):
        loop = asyncio.get_running_loop()
        pool = cf.ThreadPoolExecutor(2, thread_name_prefix=f"turn{n}")
        try:
            return await asyncio.wait_for(loop.run_in_executor(pool, tools.search, query), timeout=0.3)
        except asyncio.TimeoutError:
            log.warning("turn %d: search timed out, answering without it", n)
            return []
        finally:
            pool.shutdown(wait=False)


async def main():
    agent = Agent()
    for n in range(40):
        hits = await agent.turn(n, f"{'*' if n % 2 else ''}query {n}")
        log.info("turn %d: %d hits", n, len(hits))
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
