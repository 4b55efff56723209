"""What a profile may contain."""
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field


class SamplerName(str, Enum):
    euler_a = "euler_a"
    dpmpp_2m = "dpmpp_2m"
    ddim = "ddim"


class Sampler(BaseModel):
    name: SamplerName
    steps: int = Field(ge=1, le=150)
    cfg_scale: float = 7.0


class Profile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    sampler: Sampler
    size: tuple[int, int]
    hires_fix: bool = False
