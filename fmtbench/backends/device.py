"""What a model runs on, under a name that distinguishes a device from a larger one."""

from __future__ import annotations

from functools import cache


@cache
def device_name(device: str) -> str:
    """`cpu`, or the name and the memory of the GPU, such as `NVIDIA H200, 140 GiB`; `auto` takes a GPU if there is one."""
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    place = torch.device("cuda" if device == "auto" else device)
    facts = torch.cuda.get_device_properties(place)
    return f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
