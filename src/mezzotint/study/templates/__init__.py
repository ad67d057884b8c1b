"""Studies to begin with, as commented files; `examples/` has the same."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

TemplateName = Literal["scale", "samplers", "lora"]
TEMPLATES: tuple[TemplateName, ...] = get_args(TemplateName)
LORA_FILE = "LORA_FILE"
"""What stands in the template `lora` in place of the file's name."""


def template(name: TemplateName, file_name: str = "", lora: str = "") -> str:
    """The YAML of a study; `file_name`: how its comments call it; `lora`: the LoRA file, where the template has one."""
    text = (Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8")
    study = Path(file_name).stem
    if file_name and file_name != f"{name}.yaml":
        text = text.replace(f"{name}.yaml", file_name).replace(f"studies/{name}/", f"studies/{study}/")
    return text.replace(LORA_FILE, lora) if lora else text
