"""Operations that torch lacks, or that are faster here on the CPU.

- `norms`: response normalization (the paper's LRN across channels) and LRN within a channel.
- `relu_norm_pool`, `batch_norm_relu_pool`: a norm, ReLU and max pooling in one pass, for training
  on the CPU.
- `dropout`: masks of dropout, drawn cheaply on the CPU.
- `fft_conv`: convolutions with large kernels by FFT, for training on the CPU.
- `pixel_blocks`: the first convolution on blocks of pixels, on a GPU or a CPU with AMX.
- `tile_conv`, `tile_gradients`: convolutions in training, and gradients of weights, by kernels for
  AMX's tiles.
- `bf16_gradients`: weights whose gradients stay in bf16, and their steps of optimizers, on the CPU.
- `second_derivatives`: gradients that torch can differentiate again, where a kernel's it cannot.
- `library`: the C kernels, found, loaded and called; `threads`: whose threads they use.
- `cores`: the cores that a process may use.
- `tensors`, `arrays`: tensors and arrays as the kernels take them.
- `resize`: Lanczos resizing of decoded images, by a kernel that needs no torch.
- `resize_crop`: antialiased bilinear resizing of crops.
- `build`: loads them from the package or the cache, or compiles `csrc/*.c` into the cache.
- `norms_triton`, `gpu_conv`: norms and convolutions on a GPU.
- `compile`, `instruction_sets`: calls of the compiler, and the CPUs that it compiles for.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.ops.fft_conv import fft_conv2d
    from alexnet.ops.library import load_kernels
    from alexnet.ops.norms import response_norm, within_channel_lrn

__all__ = ["fft_conv2d", "load_kernels", "response_norm", "within_channel_lrn"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "fft_conv2d": "fft_conv",
        "load_kernels": "library",
        "response_norm": "norms",
        "within_channel_lrn": "norms",
    },
)
