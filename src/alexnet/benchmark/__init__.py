"""How fast this machine is, and how often optimized inference predicts the same class.

- `throughput`: images per second of a network, compared with a matrix multiplication.
- `layers`: the time of each layer alone.
- `data`: images per second of building an image store, reading batches and augmenting them.
- `agreement`: how often the optimized and the float32 network predict the same class.
- `processes`: images per second of several processes, and the bytes that they send.
- `timing`: time several functions alternately, and the spread of the measurements.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.benchmark.agreement import benchmark_agreement
    from alexnet.benchmark.data import benchmark_data
    from alexnet.benchmark.processes import benchmark_processes
    from alexnet.benchmark.throughput import benchmark_network

__all__ = [
    "benchmark_agreement",
    "benchmark_data",
    "benchmark_network",
    "benchmark_processes",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "benchmark_agreement": "agreement",
        "benchmark_data": "data",
        "benchmark_network": "throughput",
        "benchmark_processes": "processes",
    },
)
