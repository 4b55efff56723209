"""The stages of the pipeline."""
import asyncio
import zlib


async def detect(item: dict) -> dict:
    await asyncio.sleep(0.01)
    count = int(item["ink"] * 12)
    return {**item, "boxes": [(number * 10, number * 10 + 8) for number in range(count)]}


async def recognise(item: dict) -> dict:
    await asyncio.sleep(0.01)
    code = zlib.crc32(str(item["boxes"]).encode())
    return {**item, "text": f"{code:08x}"}


async def layout(item: dict) -> dict:
    result = await asyncio.to_thread(dict, item)
    left, right = result["boxes"][0]
    result["columns"] = 1 if right - left > 6 else 2
    return result
