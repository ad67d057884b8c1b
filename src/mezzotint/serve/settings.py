"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mezzotint.errors import ConfigError
from mezzotint.precision import Precision

Runtime = Literal["auto", "openvino", "torch"]


class ServeSettings(BaseModel):
    """Everything that the owner of a server decides. ConfigError where an open address has no token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(default=("emoji",), min_length=1)
    """Bundled names, folders, files or hub ids. Clients call each by the last part of its path."""
    mode: Literal["fast", "exact"] = "fast"
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    hosts: tuple[str, ...] = ()
    """Further names by which browsers may call the server, such as the one of a proxy."""
    tokens: tuple[str, ...] = Field(default=(), repr=False)
    """Each stands for a client; none: loopback only, and every address is a client."""
    store: Path = Path("store")
    database: str = Field(default="", repr=False)
    """The queue's, a URL of SQLAlchemy's; "": `jobs.sqlite` in the store."""
    max_queue: int = Field(default=10_000, ge=1)
    """Pictures that wait or are drawn, of all clients."""
    max_count: int = Field(default=10_000, ge=1)
    """Pictures of one job."""
    max_pixels: int = Field(default=1024 * 1024, ge=64 * 64)
    max_steps: int = Field(default=200, ge=1, le=2000)
    max_upload: int = Field(default=16 << 20, ge=1024)
    """Bytes of an uploaded file."""
    max_memory: int = Field(default=0, ge=0)
    """Bytes of open models by the size of their weights; 0: half of the machine's memory."""
    rate: int = Field(default=0, ge=0)
    """Submissions a minute of each client; 0: any number."""
    allow_adapters: bool = False
    log_prompts: bool = False

    @model_validator(mode="after")
    def _closed(self) -> Self:
        """ConfigError passes through pydantic as it is."""
        if not self.tokens and not self.loopback:
            advice = "give --token-file FILE with a token a line, or leave --host out"
            raise ConfigError(f"{self.host} can be reached from other machines; {advice}")
        names = list(self.sources)
        if len(names) < len(self.models):
            raise ConfigError(f"two models have the same name; they are {', '.join(self.models)}")
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def sources(self) -> dict[str, str]:
        """{name that clients use: what opens it}, the first is the default."""
        return {Path(source).name.removesuffix(".safetensors"): source for source in self.models}
