// Softmax: of R rows of logits Z (N, PITCH), each by LANES neighbouring threads.

constexpr int LANES = THREADS / R;

// The sum of x over the threads of a row.
__device__ inline real total(real x) {
#pragma unroll
  for (int o = LANES / 2; o; o /= 2) x += __shfl_xor_sync(~0u, x, o);
  return x;
}

struct Softmax {
  real top, sum;  // the largest logit, and the sum of exp(z - top)
  __device__ real operator()(real z) const { return exp(z - top) / sum; }
};

// Of the row that begins at Z.
__device__ inline Softmax softmax_of(const real* Z, int N) {
  real top = *Z, sum = 0;
  for (int c = threadIdx.x % LANES; c < N; c += LANES) top = Z[c * PITCH] > top ? Z[c * PITCH] : top;
#pragma unroll
  for (int o = LANES / 2; o; o /= 2) {
    const real other = __shfl_xor_sync(~0u, top, o);
    top = other > top ? other : top;
  }
  for (int c = threadIdx.x % LANES; c < N; c += LANES) sum += exp(Z[c * PITCH] - top);
  return {top, total(sum)};
}
