"""cog's part. Asynchronous, since cog answers 409 to a second request of a plain predictor."""
from cog import BasePredictor, Input


class Predictor(BasePredictor):
    async def predict(self, x: int = Input()) -> int:
        return x
