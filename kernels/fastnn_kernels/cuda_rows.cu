// Rows: a block takes R rows of a batch through all layers, the loss, and back to all dZ.

// What a mask leaves of the slope and of a, element `index` of layer l in this batch.
__device__ inline void drop(const Job& job, const Batch& batch, int l, unsigned index, real& a,
                            real& s) {
  const Control& now = *job.control;
  const unsigned long long step = ((unsigned long long)now.first[1] << 32 | now.first[0]) + batch.step;
  const unsigned words[2] = {unsigned(step), unsigned(step >> 32)};
  const bool stays = philox(index, l, words, now.seed) >= job.threshold[l];
  a = stays ? a * job.kept[l] : 0;
  s = stays ? s * job.kept[l] : 0;
}

// A (N, PITCH) of layer l from that of the layer before, or from X; the last layer's is Z.
__device__ inline void forward(const Job& job, const Batch& batch, int l, int row0, int rows,
                               const real* before, real* A, real* area) {
  const int K = job.width[l - 1], N = job.width[l], stride = job.stride[l];
  const real* W = job.work + job.W[l];
  auto product = [&](Tile& tile, int column) {
    if (l > 1) tile.product(before, W, stride, K, column);
    else
      for_each_slice(job, batch.first + row0, rows, area, [&](int k, int depth) {
        tile.product(area, W + (size_t)k * stride, stride, depth, column);
      });
  };
  for_each_sum(N, area, product, [&](int r, int c, real z) {
    real a = z + (job.has_bias ? W[(size_t)K * stride + c] : 0);
    if (l < job.layers && r < rows) {
      const size_t place = (size_t)(row0 + r) * stride + c;
      const real Z = a;
      a = activate(job.f[l], Z);
      real s = slope(job.f[l], Z, a);
      if (job.threshold[l]) drop(job, batch, l, unsigned(row0 + r) * N + c, a, s);
      job.work[job.A[l] + place] = a;
      job.work[job.S[l] + place] = s;
    }
    A[c * PITCH + r] = r < rows ? a : 0;
  });
}

// D (K, PITCH) of layer l - 1 from that of layer l.
__device__ inline void backward(const Job& job, int l, int row0, int rows, const real* after, real* D,
                                real* area) {
  const int stride = job.stride[l - 1];
  auto product = [&](Tile& tile, int column) {
    tile.product(after, job.work + job.WT[l], stride, job.width[l], column);
  };
  for_each_sum(job.width[l - 1], area, product, [&](int r, int c, real g) {
    const size_t place = (size_t)(row0 + r) * stride + c;
    const real d = r < rows ? g * job.work[job.S[l - 1] + place] : 0;
    D[c * PITCH + r] = d;
    if (r < rows) job.work[job.D[l - 1] + place] = d;
  });
}

// grid: tiles of R rows of a batch.
extern "C" __global__ void __launch_bounds__(THREADS, 1) rows_step(const __grid_constant__ Job job) {
  SHARED(real, area);       // of inputs, and of the warps' sums
  real* A = area + SLAB;    // (width, PITCH) of one layer after the other
  const Batch batch(*job.control);
  const int row0 = blockIdx.x * R, rows = min(R, batch.count - row0);
  if (rows <= 0) return;
  const real* before = A;
  for (int l = 1; l <= job.layers; l++) {
    forward(job, batch, l, row0, rows, before, A, area);
    before = A;
    A += job.width[l] * PITCH;
  }
  A -= job.width[job.layers] * PITCH;
  const int r = threadIdx.x / LANES, place = batch.first + row0 + r, N = job.width[job.layers];
  const Target target = r < rows ? target_of(job, place) : Target{0, -1, 0};
  set_loss(job, target, r < rows, place, job.is_mean ? batch.count : 1, A);
  if (r < rows)  // what this thread has set
    for (int c = threadIdx.x % LANES; c < N; c += LANES)
      job.work[job.D[job.layers] + (size_t)(row0 + r) * job.stride[job.layers] + c] = A[c * PITCH + r];
  __syncthreads();
  for (int l = job.layers; l > 1; l--) {
    const real* after = A;
    A -= job.width[l - 1] * PITCH;
    backward(job, l, row0, rows, after, A, area);
  }
}
