// Inputs: rows of X, picked by what asks for them (row_of), cast and scaled on the way.

constexpr int DEPTH = SLAB / PITCH;  // inputs that are gathered at a time

template <class Source> __device__ inline real input(const Source& from, int row, int column) {
  const int k = from.is_scaled_by_column ? column : 0;
  const wide x = from.X[(size_t)row * from.width[0] + column];
  return real((x - from.offset[k]) * from.factor[k]);
}

// to (depth, PITCH) = the inputs of these rows from column `column` on; rows that are not there are 0.
template <class Source>
__device__ inline void gather(const Source& from, real* to, int first, int rows, int column,
                              int depth) {
  for (int r = threadIdx.x / 32; r < R; r += WARPS) {
    const int row = r < rows ? row_of(from, first + r) : 0;
#pragma unroll (AT_ONCE)
    for (int k = threadIdx.x % 32; k < depth; k += 32)
      to[k * PITCH + r] = r < rows ? input(from, row, column + k) : real(0);
  }
}

// multiply(k, depth) for slices of the inputs of these rows, which lie at area meanwhile.
template <class Source, class Multiply>
__device__ inline void for_each_slice(const Source& from, int first, int rows, real* area,
                                      const Multiply& multiply) {
  const int K = from.width[0];
  for (int k = 0; k < K; k += DEPTH) {
    const int depth = min(DEPTH, K - k);
    gather(from, area, first, rows, k, depth);
    __syncthreads();
    multiply(k, depth);
    __syncthreads();
  }
}
