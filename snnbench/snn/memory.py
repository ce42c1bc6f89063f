"""When memory is too small for so many samples at once."""

import warnings

import torch


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an exception of PyTorch says that memory could not be allocated, on a GPU or by the CPU's allocator."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def fewer(samples: int) -> int:
    """Half as many samples per pass, with a line that says so; not called in the handler, which holds on to tensors."""
    warnings.warn("out of memory: going on with fewer samples per pass", RuntimeWarning, stacklevel=3)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return (samples + 1) // 2
