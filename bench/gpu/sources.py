"""Sources: the CUDA C++ kernels of the microbenchmarks, which need no headers."""

from types import ModuleType
from typing import Any

ADD = r"""
extern "C" __global__ void add(long long count, const float* a, const float* b, float* out) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < count) out[i] = a[i] + b[i];
}
"""
COUNT_UP = r"""
extern "C" __global__ void count_up(int* total) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *total += 1;
}
"""
# All blocks must be running at once, or none ever ends: launch it cooperatively.
GRID_BARRIER = r"""
extern "C" __global__ void grid_barrier(unsigned* arrived, int rounds) {
    for (int round = 1; round <= rounds; round++) {
        __syncthreads();
        if (threadIdx.x == 0) {
            unsigned seen;
            __threadfence();
            atomicAdd(arrived, 1u);
            do {
                asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(seen) : "l"(arrived) : "memory");
            } while (seen < (unsigned)round * gridDim.x);
        }
        __syncthreads();
    }
}
"""
CLUSTER_BARRIER = r"""
extern "C" __global__ void __cluster_dims__(BLOCKS, 1, 1) cluster_barrier(int* blocks, int rounds) {
    unsigned size;
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    for (int round = 0; round < rounds; round++)
        asm volatile("barrier.cluster.arrive.release.aligned;\n"
                     "barrier.cluster.wait.acquire.aligned;" ::: "memory");
    if (blockIdx.x == 0 && threadIdx.x == 0) *blocks = size;
}
"""


def cluster_barrier(blocks: int) -> str:
    return f"#define BLOCKS {blocks}\n{CLUSTER_BARRIER}"


def compiled(source: str, capability: str) -> Any:
    """What a GPU of this compute capability, "90", runs: an ObjectCode of cuda.core."""
    from cuda.core import Program, ProgramOptions

    options = ProgramOptions(arch=f"sm_{capability}", std="c++17")
    return Program(source, "c++", options).compile("cubin")


def function(cupy: ModuleType, source: str, name: str) -> Any:
    """A kernel that CuPy launches: function(grid, block, arguments)."""
    module = cupy.cuda.Module()
    module.load(bytes(compiled(source, cupy.cuda.Device().compute_capability).code))
    return module.get_function(name)
