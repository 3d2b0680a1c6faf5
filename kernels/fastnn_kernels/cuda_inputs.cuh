// Inputs: rows of X, picked by the order, cast and scaled on the way.

// to (depth, PITCH) = the inputs of these rows from column `from` on; rows that are not there are 0.
__device__ inline void gather(const Job& job, real* to, int first, int rows, int from, int depth) {
  for (int r = threadIdx.x / 32; r < R; r += WARPS) {
    const int row = r < rows ? job.order[first + r] : 0;
#pragma unroll (AT_ONCE)
    for (int k = threadIdx.x % 32; k < depth; k += 32)
      to[k * PITCH + r] = r < rows ? input(job, row, from + k) : real(0);
  }
}

// tile += X W1 for these rows of the batch.
__device__ inline void multiply_inputs(const Job& job, const Batch& batch, Tile& tile, int row0,
                                       int rows, int column, real* area) {
  const int K = job.width[0], stride = job.stride[1];
  for (int k = 0; k < K; k += DEPTH) {
    const int depth = min(DEPTH, K - k);
    gather(job, area, batch.first + row0, rows, k, depth);
    __syncthreads();
    tile.product(area, job.work + job.W[1] + (size_t)k * stride, stride, depth, column);
    __syncthreads();
  }
}
