"""cog's part. Asynchronous, since cog answers 409 to a second request of a plain runner."""
from cog import BaseRunner, Input


class Runner(BaseRunner):
    async def run(self, x: int = Input()) -> int:
        return x
