// Predict: a block takes R rows of X through all layers, from the network's own parameters.

struct Prediction {
  const INPUT* X;                   // (n, d)
  const wide *offset, *factor;      // X enters as (X - offset) factor; 1, or one a column
  const real* P;                    // the flat parameters: W (K, N) and b (N,) of each layer
  real* out;                        // (n, k)
  int* is_refused;                  // set where Z of the first layer, and so maybe X, is not finite
  int n, layers, is_scaled_by_column, widest;
  int width[MOST_LAYERS + 1], f[MOST_LAYERS + 1];
  int W[MOST_LAYERS + 1], b[MOST_LAYERS + 1];  // places in P; -1 for no bias
};

__device__ inline int row_of(const Prediction&, int place) { return place; }

// grid: tiles of R rows.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
predict_rows(const __grid_constant__ Prediction job) {
  SHARED(real, area);                                      // of inputs, and of the warps' sums
  real *A = area + SLAB, *Z = A + job.widest * PITCH;      // of a layer, and of the next
  const int row0 = blockIdx.x * R, rows = min(R, job.n - row0), last = job.layers;
  bool is_finite = true;
  for (int l = 1; l <= last; l++) {
    const int K = job.width[l - 1], N = job.width[l];
    const real* W = job.P + job.W[l];
    auto product = [&](Tile& tile, int column) {
      if (l > 1) tile.product_of_flat(A, W, N, K, column);
      else
        for_each_slice(job, row0, rows, area, [&](int k, int depth) {
          tile.product_of_flat(area, W + (size_t)k * N, N, depth, column);
        });
    };
    for_each_sum(N, area, product, [&](int r, int c, real z) {
      if (l == 1) is_finite &= z - z == 0;
      if (job.b[l] >= 0) z += job.P[job.b[l] + c];
      Z[c * PITCH + r] = l < last ? activate(job.f[l], z) : z;
    });
    real* const free = A;
    A = Z, Z = free;
  }
  if (!is_finite) *job.is_refused = 1;
  const int r = threadIdx.x / LANES, N = job.width[last], f = job.f[last];
  const Softmax softmax = f == SOFTMAX ? softmax_of(A + r, N) : Softmax{0, 1};
  if (r < rows)
    for (int c = threadIdx.x % LANES; c < N; c += LANES) {
      const real z = A[c * PITCH + r];
      job.out[(size_t)(row0 + r) * N + c] = f == SOFTMAX ? softmax(z) : activate(f, z);
    }
}
